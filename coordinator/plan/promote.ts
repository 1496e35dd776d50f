import { type Dtype, dtypeBits, isComputable } from "../../shared/checkpoint/dtypes.js";

/**
 * The dtype that holds the values of all of these: the widest, and F32 where two of one width hold different values
 * (F16 and BF16), as PyTorch promotes. What nothing computes on has no say.
 */
export function promote(dtypes: readonly Dtype[]): Dtype | undefined {
  const computable = dtypes.filter(isComputable);
  return computable.slice(1).reduce<Dtype | undefined>((widest, dtype) => {
    if (widest === undefined || widest === dtype) return dtype;
    const [a, b] = [dtypeBits(widest), dtypeBits(dtype)];
    if (a === b) return a === 8 ? "BF16" : "F32";
    return a > b ? widest : dtype;
  }, computable[0]);
}
