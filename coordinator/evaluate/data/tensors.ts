import { formatBytes } from "../../../shared/bytes.js";
import { widen } from "../../../shared/checkpoint/convert.js";
import { isComputable } from "../../../shared/checkpoint/dtypes.js";
import { type Checkpoint, type CheckpointTensor, openCheckpoint } from "../../../shared/checkpoint/open.js";
import { openRegularFile, readFully } from "../../../shared/checkpoint/regular-file.js";
import { formatCount, quote } from "../../../shared/quote.js";
import type { InputTensor, Row } from "../types.js";
import type { RowBudget } from "./budget.js";
import { dataError } from "./complain.js";

/** One example's part of a tensor: the elements, and their shape without the dimension that counts examples. */
export type TensorCell = Pick<InputTensor, "dtype" | "shape" | "data">;

/** A column in memory: F32, I64, I32 or U8, little-endian. */
interface Column {
  readonly dtype: TensorCell["dtype"];
  readonly shape: readonly number[];
  readonly rowBytes: number;
  readonly bytes: Uint8Array;
}

const elementBytes = { F32: 4, I64: 8, I32: 4, U8: 1 } as const;

/**
 * Rows of a safetensors file: every tensor is a column, its first dimension counts the rows. A field of a tensor with
 * one dimension is a number (a bigint beyond 53 bits), one of any other a `TensorCell`. F16, BF16 and F64 become F32,
 * BOOL becomes U8.
 */
export async function readTensorRows(path: string, budget: RowBudget): Promise<readonly Row[]> {
  const file = await openCheckpoint(path);
  const tensors = [...file.tensors.values()];
  const count = rowCount(path, tensors);
  const rows = Math.min(count, budget.remaining);
  const bytes = tensors.reduce((sum, tensor) => sum + (count === 0 ? 0 : (tensor.bytes / count) * rows), 0);
  budget.spend(path, rows, bytes);
  const read = new Map<string, Column>();
  for (const tensor of tensors) read.set(tensor.name, await readColumn(path, file, tensor, rows));
  return Array.from({ length: rows }, (_, index) => ({
    fields: Object.fromEntries([...read].map(([name, column]) => [name, cell(column, index)])),
    place: `${path}, row ${index + 1}`,
  }));
}

function rowCount(path: string, tensors: readonly CheckpointTensor[]): number {
  const [first, ...others] = tensors;
  if (first === undefined) return 0;
  const count = first.shape[0];
  if (count === undefined) throw dataError(path, `Tensor ${quote(first.name)} has no dimension that counts rows`);
  const other = others.find(({ shape }) => shape[0] !== count);
  if (other === undefined) return count;
  const found = `${quote(first.name)} has ${formatCount(count)} rows, ${quote(other.name)} ${formatCount(other.shape[0] ?? 0)}`;
  throw dataError(path, `All tensors must have a row per example: ${found}`);
}

async function readColumn(path: string, file: Checkpoint, tensor: CheckpointTensor, rows: number): Promise<Column> {
  const source = file.files[tensor.file];
  const bytes = new Uint8Array(tensor.bytes === 0 ? 0 : (tensor.bytes / (tensor.shape[0] ?? 1)) * rows);
  const { handle } = await openRegularFile(source?.path ?? path);
  try {
    const read = await readFully(handle, bytes, tensor.offset);
    if (read < bytes.length) {
      throw dataError(
        path,
        `Tensor ${quote(tensor.name)} ends after ${formatBytes(read)} of ${formatBytes(bytes.length)}`,
      );
    }
  } finally {
    await handle.close();
  }
  const shape = tensor.shape.slice(1);
  const { dtype, bytes: values } = converted(path, tensor, bytes);
  return { dtype, shape, rowBytes: shape.reduce((size, extent) => size * extent, elementBytes[dtype]), bytes: values };
}

function converted(
  path: string,
  { name, dtype }: CheckpointTensor,
  bytes: Uint8Array,
): { dtype: Column["dtype"]; bytes: Uint8Array } {
  if (dtype === "F32" || dtype === "I64" || dtype === "I32" || dtype === "U8") return { dtype, bytes };
  if (dtype === "BOOL") return { dtype: "U8", bytes };
  if (!isComputable(dtype)) throw dataError(path, `Tensor ${quote(name)} is ${dtype}, which no model's input can be`);
  return { dtype: "F32", bytes: new Uint8Array(widen(dtype, bytes).buffer) };
}

function cell({ dtype, shape, rowBytes, bytes }: Column, index: number): number | bigint | TensorCell {
  const data = bytes.subarray(index * rowBytes, (index + 1) * rowBytes);
  return shape.length > 0 ? { dtype, shape, data } : numberIn(dtype, data);
}

function numberIn(dtype: TensorCell["dtype"], data: Uint8Array): number | bigint {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (dtype === "F32") return view.getFloat32(0, true);
  if (dtype === "I32") return view.getInt32(0, true);
  if (dtype === "U8") return view.getUint8(0);
  const value = view.getBigInt64(0, true);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
