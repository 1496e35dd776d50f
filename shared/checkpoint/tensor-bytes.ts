import { type Dtype, dtypeBits } from "./dtypes.js";

/**
 * Bytes that a tensor takes. Undefined when its bits are not whole bytes, as with an odd number of F4 elements, or when
 * they pass 2^53 - 1. A tensor without dimensions has one element; a dimension of 0 leaves none.
 */
export function tensorBytes(dtype: Dtype, shape: readonly number[]): number | undefined {
  let bits = dtypeBits(dtype);
  for (const dimension of shape) {
    bits *= dimension;
    // Checked at every step, like the reference reader: a 0 further on does not take an overflow back.
    if (bits > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return bits % 8 === 0 ? bits / 8 : undefined;
}
