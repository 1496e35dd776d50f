import type { Dtype } from "../checkpoint/dtypes.js";
import { TensorProto_DataType as DataType } from "../gen/onnx/onnx_pb.js";

/** ONNX's number for a checkpoint's dtype. Those that are missing have no counterpart whose bytes are the same. */
const dataTypes: Readonly<Partial<Record<Dtype, DataType>>> = {
  BOOL: DataType.BOOL,
  U8: DataType.UINT8,
  I8: DataType.INT8,
  U16: DataType.UINT16,
  I16: DataType.INT16,
  U32: DataType.UINT32,
  I32: DataType.INT32,
  U64: DataType.UINT64,
  I64: DataType.INT64,
  F16: DataType.FLOAT16,
  BF16: DataType.BFLOAT16,
  F32: DataType.FLOAT,
  F64: DataType.DOUBLE,
  F8_E4M3: DataType.FLOAT8E4M3FN,
  F8_E5M2: DataType.FLOAT8E5M2,
};

/** How a tensor gets into a graph: what its bytes are to ONNX, and whether they must pass through a Cast. */
export interface Reading {
  readonly stored: DataType;
  readonly needsCast: boolean;
  /** The first version of the standard operators whose Cast takes these elements. */
  readonly castOpset: number;
}

/** Floats whose every value is a FLOAT too, with the opset that Cast learnt them in. */
const castOpsets: ReadonlyMap<DataType, number> = new Map([
  [DataType.FLOAT16, 6],
  [DataType.BFLOAT16, 13],
  [DataType.FLOAT8E4M3FN, 19],
  [DataType.FLOAT8E5M2, 19],
]);

/**
 * How a graph that wants elements of type `wanted` reads a tensor of `dtype`, or why it cannot. Only conversions that are
 * exact are made, and those are from smaller floats to FLOAT.
 */
export function readingOf(dtype: Dtype, wanted: number): Reading | string {
  const stored = dataTypes[dtype];
  if (stored === undefined) return "which is not converted";
  const castOpset = castOpsets.get(stored) ?? 1;
  if (stored === wanted) return { stored, needsCast: false, castOpset };
  if (wanted === DataType.FLOAT && castOpsets.has(stored)) return { stored, needsCast: true, castOpset };
  const isRounding = roundedTypes.has(wanted) && (castOpsets.has(stored) || wideTypes.has(stored));
  return isRounding ? "which would be rounded: export the graph in FLOAT" : "which is not converted";
}

const roundedTypes: ReadonlySet<number> = new Set([DataType.FLOAT16, DataType.BFLOAT16]);
const wideTypes: ReadonlySet<DataType> = new Set([DataType.FLOAT, DataType.DOUBLE]);

export function isEightBit(dtype: Dtype): boolean {
  return dtype === "F8_E4M3" || dtype === "F8_E5M2";
}

/** `1` → `"FLOAT"`, ONNX's own name. */
export function dataTypeName(dataType: number): string {
  return DataType[dataType] ?? `element type ${dataType}`;
}
