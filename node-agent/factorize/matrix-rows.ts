import { type ComputableDtype, dtypeBytes } from "../../shared/checkpoint/dtypes.js";
import { toNumbers } from "../../shared/checkpoint/numbers.js";

/** A matrix that is read row by row, and never held whole. */
export interface MatrixRows {
  readonly rows: number;
  readonly columns: number;
  /** Fills the start of `into` with rows [first, first + count), row after row, each `stride` elements from the last. */
  read(first: number, count: number, into: Float32Array, stride: number): void;
}

/** Where a matrix's bytes are. */
export interface StoredMatrix {
  readonly file: number;
  readonly offset: number;
  readonly dtype: ComputableDtype;
}

export type ReadBytes = (file: number, into: Uint8Array, position: number) => void;

/** The difference of two stored matrices of one shape, or one matrix as it is. Each element is rounded to f32 once. */
export function differenceRows(
  shape: { readonly rows: number; readonly columns: number },
  matrix: StoredMatrix,
  base: StoredMatrix | undefined,
  read: ReadBytes,
): MatrixRows {
  const { columns } = shape;
  const numbersOf = ({ file, offset, dtype }: StoredMatrix, first: number, count: number): ArrayLike<number> => {
    const rowBytes = columns * dtypeBytes(dtype);
    const bytes = new Uint8Array(count * rowBytes);
    read(file, bytes, offset + first * rowBytes);
    return toNumbers(dtype, bytes);
  };
  return {
    ...shape,
    read(first, count, into, stride) {
      const numbers = numbersOf(matrix, first, count);
      const taken = base === undefined ? undefined : numbersOf(base, first, count);
      for (let row = 0; row < count; row += 1) {
        const [from, to] = [row * columns, row * stride];
        if (taken === undefined) {
          for (let i = 0; i < columns; i += 1) into[to + i] = numbers[from + i] ?? 0;
        } else {
          for (let i = 0; i < columns; i += 1) into[to + i] = (numbers[from + i] ?? 0) - (taken[from + i] ?? 0);
        }
      }
    },
  };
}
