import type { Schedule } from "./passes.js";
import { blockElements } from "./statistics.js";

/** How a tensor's shape divides its elements. */
export interface Division {
  readonly elements: number;
  /** Elements in a row: the last dimension. */
  readonly row: number;
  /** Columns: elements in one slice of the first dimension. A vector has one column. */
  readonly columns: number;
}

/** Of an empty tensor, rows and columns have a length of 1, whatever its shape says: nobody should make room for them. */
export function divisionOf(shape: readonly number[]): Division {
  const product = (dimensions: readonly number[]): number => dimensions.reduce((a, b) => a * b, 1);
  const elements = product(shape);
  if (elements === 0) return { elements, row: 1, columns: 1 };
  return { elements, row: shape.at(-1) ?? 1, columns: product(shape.slice(1)) };
}

/**
 * Elements that a kernel works on at once, and whose sum is one partial result: a row where values differ by row,
 * whole slices of the first dimension where they differ by column, a fixed number otherwise.
 */
export function blockOf(
  { rowwise, columnwise }: Pick<Schedule, "rowwise" | "columnwise">,
  { row, columns }: Pick<Division, "row" | "columns">,
): number {
  if (rowwise) return row;
  return columnwise ? columnBlock(columns) : blockElements;
}

/** Slices of few columns are worked on together, so that a block has about this many elements. */
const columnBlockElements = 4_096;
/** Blocks start at groups of random numbers; see uniformAt(). */
const randomGroup = 16;

/** A multiple of `columns` and of 16. */
function columnBlock(columns: number): number {
  let grain = columns;
  while (grain % randomGroup !== 0) grain *= 2;
  return grain * Math.max(1, Math.floor(columnBlockElements / grain));
}
