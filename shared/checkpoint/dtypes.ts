/**
 * Every dtype of the safetensors format, by the name its headers use, with its width in bits. The order is that of the
 * reference implementation; sub-byte dtypes pack two or more elements into a byte.
 */
const bits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type Dtype = keyof typeof bits;

/** The dtypes a merge can compute on. All others are carried through byte for byte. */
export const computableDtypes = ["F32", "F16", "BF16", "F64", "F8_E4M3", "F8_E5M2"] as const;
export type ComputableDtype = (typeof computableDtypes)[number];

export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(bits, name);
}

export function isComputable(dtype: Dtype): dtype is ComputableDtype {
  return (computableDtypes as readonly string[]).includes(dtype);
}

/** Width of one element in bits; 4 and 6 exist. */
export function dtypeBits(dtype: Dtype): number {
  return bits[dtype];
}

/** Width of one element in bytes, for the dtypes whose elements fill whole bytes. */
export function dtypeBytes(dtype: ComputableDtype): number {
  return bits[dtype] / 8;
}

const recipeNames: Readonly<Record<string, ComputableDtype>> = {
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float64: "F64",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
};

/** The names a recipe may use for `dtype` and `out_dtype`; PyTorch's, with or without `torch.` in front. */
export const recipeDtypeNames: readonly string[] = Object.keys(recipeNames);

/** `"bfloat16"` or `"torch.bfloat16"` → `"BF16"`; undefined for a name that is not a dtype a merge can write. */
export function dtypeFromRecipe(name: string): ComputableDtype | undefined {
  const plain = name.replace(/^torch\./, "");
  return Object.hasOwn(recipeNames, plain) ? recipeNames[plain] : undefined;
}
