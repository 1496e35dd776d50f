import type { LowRankUpdate, PlannedInput, RowMap, StoredTensor } from "../../coordinator/plan/types.js";
import { widen } from "../../shared/checkpoint/convert.js";
import { isComputable } from "../../shared/checkpoint/dtypes.js";

/** All bytes of a stored tensor of this many elements. */
export type ReadStored = (tensor: StoredTensor, elements: number) => Uint8Array;

/**
 * What agents put together as they read, the slow and obvious way: the reference that their readers are held to, bit for
 * bit. All elements of the input, in order.
 */
export function derivedInput(
  input: Pick<PlannedInput, "rows"> & StoredTensor,
  shape: readonly number[],
  read: ReadStored,
): Float32Array {
  const [rows = 1, columns = 1] = shape;
  return input.rows === undefined ? matrix(input, rows, columns, read) : rowMap(input.rows, rows, read);
}

function stored(tensor: StoredTensor, elements: number, read: ReadStored): Float32Array {
  if (!isComputable(tensor.dtype)) throw new RangeError(`Cannot compute on ${tensor.dtype}`);
  return widen(tensor.dtype, read(tensor, elements));
}

/** A stored matrix with its updates on top, one after the other. */
function matrix(tensor: StoredTensor, rows: number, columns: number, read: ReadStored): Float32Array {
  const elements = Float32Array.from(stored(tensor, rows * columns, read));
  for (const update of tensor.updates ?? []) {
    const product = productOf(update, rows, columns, read);
    const scale = Math.fround(update.scale);
    for (let at = 0; at < elements.length; at += 1) {
      elements[at] = Math.fround((elements[at] ?? 0) + Math.fround((product[at] ?? 0) * scale));
    }
  }
  return elements;
}

/** B A, or its transpose: sums over the rank from first to last, rounded to f32 after every operation. */
function productOf(update: LowRankUpdate, rows: number, columns: number, read: ReadStored): Float32Array {
  const { rank, transposed } = update;
  const a = stored(update.a, rank * (transposed ? rows : columns), read);
  const b = stored(update.b, rank * (transposed ? columns : rows), read);
  const product = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      let sum = 0;
      for (let r = 0; r < rank; r += 1) {
        const left = transposed ? a[r * rows + i] : b[i * rank + r];
        const right = transposed ? b[j * rank + r] : a[r * columns + j];
        sum = Math.fround(sum + Math.fround((left ?? 0) * (right ?? 0)));
      }
      product[i * columns + j] = sum;
    }
  }
  return product;
}

function rowMap({ tensors, columns, segments }: RowMap, rows: number, read: ReadStored): Float32Array {
  const matrices = tensors.map((tensor) => matrix(tensor, tensor.rows, columns, read));
  const rowOf = (tensor: number, row: number): Float32Array => {
    return matrices[tensor]?.subarray(row * columns, (row + 1) * columns) ?? new Float32Array(columns);
  };
  const result = new Float32Array(rows * columns);
  let row = 0;
  for (const segment of segments) {
    for (let i = 0; i < segment.count; i += 1, row += 1) {
      const into = result.subarray(row * columns, (row + 1) * columns);
      if (segment.kind === "run") into.set(rowOf(segment.tensor, segment.row + i));
      if (segment.kind !== "combination") continue;
      const sums = new Float64Array(columns);
      for (const term of segment.terms) {
        for (let k = 0; k < term.rows; k += 1) {
          rowOf(term.tensor, term.row + k).forEach((value, j) => {
            sums[j] = (sums[j] ?? 0) + term.weight * value;
          });
        }
      }
      into.set(sums);
    }
  }
  return result;
}
