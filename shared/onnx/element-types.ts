import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import { TensorProto_DataType as DataType } from "../../shared/gen/onnx/onnx_pb.js";

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
}

/**
 * How a graph that wants elements of type `wanted` reads a tensor of `dtype`. Undefined when it cannot: only conversions
 * that are exact are made, and those are 16-bit floats to FLOAT.
 */
export function readingOf(dtype: Dtype, wanted: number): Reading | undefined {
  const stored = dataTypes[dtype];
  if (stored === undefined) return undefined;
  if (stored === wanted) return { stored, needsCast: false };
  const isExact = wanted === DataType.FLOAT && (stored === DataType.BFLOAT16 || stored === DataType.FLOAT16);
  return isExact ? { stored, needsCast: true } : undefined;
}

/** `1` → `"FLOAT"`, ONNX's own name. */
export function dataTypeName(dataType: number): string {
  return DataType[dataType] ?? `element type ${dataType}`;
}
