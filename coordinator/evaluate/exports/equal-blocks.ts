import type { Numbers } from "./numbers.js";

/** Elements compared at once: a few megabytes, whatever the tensors' sizes. */
const windowElements = 1 << 20;

/** A block of rows and columns of a tensor seen as a matrix. */
export interface Block {
  readonly numbers: Numbers;
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
  /** Columns of the matrix that the block is in. */
  readonly stride: number;
}

/** A whole tensor as a matrix: its first dimension by all others; a vector is one row. */
export function wholeBlock(numbers: Numbers): Block {
  const rows = numbers.shape.length < 2 ? 1 : (numbers.shape[0] ?? 1);
  const columns = rows === 0 ? 0 : numbers.count / rows;
  return { numbers, row: 0, column: 0, rows, columns, stride: columns };
}

/** Whether a block equals a whole matrix, or its transpose, element by element. */
export async function equalBlocks(block: Block, whole: Block, transposed: boolean): Promise<boolean> {
  const [rows, columns] = transposed ? [whole.columns, whole.rows] : [whole.rows, whole.columns];
  if (block.rows !== rows || block.columns !== columns) return false;
  if (rows === 0 || columns === 0) return true;
  // A look at both ends and in between tells nearly all that differ apart.
  for (const part of [0, 0.37, 0.71, 1]) {
    const [row, column] = [Math.floor(part * (rows - 1)), Math.floor((1 - part) * (columns - 1))];
    const at = transposed ? column * whole.stride + row : row * whole.stride + column;
    if ((await readAt(block, row, column, 1))[0] !== (await whole.numbers.read(at, 1))[0]) return false;
  }
  return transposed ? equalTransposed(block, whole) : equalRows(block, whole);
}

function readAt({ numbers, row, column, stride }: Block, i: number, j: number, count: number) {
  return numbers.read((row + i) * stride + column + j, count);
}

async function equalRows(block: Block, whole: Block): Promise<boolean> {
  const isContiguous = block.columns === block.stride;
  const rows = isContiguous ? 1 : block.rows;
  const length = isContiguous ? block.rows * block.columns : block.columns;
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < length; at += windowElements) {
      const count = Math.min(windowElements, length - at);
      const ours = await readAt(block, row, at, count);
      const theirs = await whole.numbers.read(row * length + at, count);
      for (let i = 0; i < count; i++) if (ours[i] !== theirs[i]) return false;
    }
  }
  return true;
}

/** A band of the whole's rows at a time: the same columns of the block. */
async function equalTransposed(block: Block, whole: Block): Promise<boolean> {
  const band = Math.max(1, Math.floor(windowElements / whole.columns));
  for (let from = 0; from < whole.rows; from += band) {
    const count = Math.min(band, whole.rows - from);
    const theirs = await whole.numbers.read(from * whole.columns, count * whole.columns);
    for (let row = 0; row < block.rows; row++) {
      const ours = await readAt(block, row, from, count);
      for (let i = 0; i < count; i++) if (ours[i] !== theirs[i * whole.columns + row]) return false;
    }
  }
  return true;
}
