import { isComputable, isDtype } from "../../shared/checkpoint/dtypes.js";
import { tensorBytes } from "../../shared/checkpoint/tensor-bytes.js";
import type { AmalgamError } from "../../shared/errors.js";
import type { LowRankUpdate, RowMap, SourceFile, TensorSource } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { maxRank, maxRowColumns, maxRowSegments, maxRowTensors, maxRowTerms, maxUpdates } from "./limits.js";

/** The piece that an input is for, and how to refuse it: `reason` reads on from "the tensor has". */
export interface InputCheck {
  readonly shape: readonly number[];
  /** Elements of the tensor. */
  readonly elements: number;
  /** The piece's elements [begin, end). */
  readonly begin: number;
  readonly end: number;
  readonly sources: readonly SourceFile[];
  readonly refuse: (reason: string) => AmalgamError;
}

/** Refuses an input that is not wholly within its files, or whose parts do not fit together. */
export function assertInput(input: TensorSource, check: InputCheck): void {
  const { shape, elements, refuse } = check;
  if (isPlain(input)) {
    assertStored(input, [elements], check);
    return;
  }
  const [rows, columns] = shape;
  if (rows === undefined || columns === undefined || shape.length > 2) {
    throw refuse(`an input with updates or rows, and ${shape.length} dimensions instead of 2`);
  }
  if (input.rows === undefined) assertMatrix(input, rows, columns, check);
  else if (input.updates.length > 0) throw refuse("an input with both updates and rows");
  else assertRows(input.rows, rows, columns, check);
}

function assertStored({ file, offset, dtype }: TensorSource, shape: readonly number[], check: InputCheck): void {
  const { sources, refuse } = check;
  const source = sources[file];
  if (source === undefined) throw refuse(`source file ${file} of ${sources.length}`);
  const bytes = isDtype(dtype) ? tensorBytes(dtype, shape) : undefined;
  if (bytes === undefined) throw refuse(`${shape.join(" x ")} input elements of dtype ${quote(dtype)}`);
  if (offset + BigInt(bytes) > source.bytes) throw refuse(`${bytes} bytes at ${offset} of ${quote(source.path)}`);
}

/** A tensor that takes part in a computation before the kernel's. */
function assertComputable(tensor: TensorSource, shape: readonly number[], check: InputCheck): void {
  assertStored(tensor, shape, check);
  if (isDtype(tensor.dtype) && isComputable(tensor.dtype)) return;
  throw check.refuse(`an input that is put together from dtype ${quote(tensor.dtype)}, which only copies`);
}

function assertMatrix(tensor: TensorSource, rows: number, columns: number, check: InputCheck): void {
  const { updates } = tensor;
  assertComputable(tensor, [rows, columns], check);
  if (updates.length > maxUpdates) throw check.refuse(`${updates.length} low-rank updates, more than ${maxUpdates}`);
  for (const update of updates) assertUpdate(update, rows, columns, check);
}

function assertUpdate(update: LowRankUpdate, rows: number, columns: number, check: InputCheck): void {
  const { a, b, rank, scale, transposed } = update;
  if (rank < 1 || rank > maxRank) {
    throw check.refuse(`a low-rank update of rank ${rank}, which is not between 1 and ${maxRank}`);
  }
  if (!Number.isFinite(scale)) throw check.refuse(`a low-rank update with a scale of ${scale}`);
  const [wide, high] = transposed ? [rows, columns] : [columns, rows];
  const factors: readonly [TensorSource | undefined, readonly number[]][] = [
    [a, [rank, wide]],
    [b, [high, rank]],
  ];
  for (const [factor, shape] of factors) {
    if (factor === undefined) throw check.refuse("a low-rank update without both its factors");
    if (isPlain(factor)) assertComputable(factor, shape, check);
    else throw check.refuse("a low-rank factor with updates or rows of its own");
  }
}

function assertRows(map: RowMap, rows: number, columns: number, check: InputCheck): void {
  const { tensors, tensorRows, segments } = map;
  const { refuse } = check;
  if (columns > maxRowColumns) throw refuse(`a row map of ${columns} columns, more than ${maxRowColumns}`);
  if (tensors.length > maxRowTensors) {
    throw refuse(`a row map of ${tensors.length} tensors, more than ${maxRowTensors}`);
  }
  if (segments.length > maxRowSegments) {
    throw refuse(`a row map of ${segments.length} segments, more than ${maxRowSegments}`);
  }
  if (tensorRows.length !== tensors.length) {
    throw refuse(`a row map of ${tensors.length} tensors and ${tensorRows.length} row counts`);
  }
  tensors.forEach((tensor, i) => {
    if (tensor.rows !== undefined) throw refuse("a row map within a row map");
    assertMatrix(tensor, Number(tensorRows[i]), columns, check);
  });
  assertSegments(map, refuse);
  assertCoverage(map, rows, columns, check);
}

function assertSegments({ tensorRows, segments }: RowMap, refuse: InputCheck["refuse"]): void {
  const assertWithin = (tensor: number, row: bigint, count: bigint): void => {
    const rows = tensorRows[tensor];
    if (rows === undefined) throw refuse(`rows of tensor ${tensor} of ${tensorRows.length} in a row map`);
    if (row + count > rows) throw refuse(`rows [${row}, ${row + count}) of ${rows} in a row map`);
  };
  let terms = 0;
  for (const segment of segments) {
    if (segment.count === 0n) throw refuse("a segment without rows in a row map");
    if (segment.run !== undefined) {
      if (segment.terms.length > 0) throw refuse("a segment with both a run and terms in a row map");
      assertWithin(segment.run.tensor, segment.run.row, segment.count);
    }
    terms += segment.terms.length;
    if (terms > maxRowTerms) throw refuse(`a row map of more than ${maxRowTerms} terms`);
    for (const { tensor, row, rows, weight } of segment.terms) {
      if (rows === 0n) throw refuse("a term without rows in a row map");
      if (!Number.isFinite(weight)) throw refuse(`a term with a weight of ${weight} in a row map`);
      assertWithin(tensor, row, rows);
    }
  }
}

/** The segments lie within the matrix and reach over the rows that the piece touches. */
function assertCoverage({ firstRow, segments }: RowMap, rows: number, columns: number, check: InputCheck): void {
  const { begin, end, refuse } = check;
  const lastRow = segments.reduce((row, { count }) => row + count, firstRow);
  if (lastRow > BigInt(rows)) throw refuse(`a row map for the rows [${firstRow}, ${lastRow}) of ${rows}`);
  if (begin === end) return;
  const needed = { first: BigInt(Math.floor(begin / columns)), last: BigInt(Math.ceil(end / columns)) };
  if (firstRow <= needed.first && lastRow >= needed.last) return;
  throw refuse(
    `a row map for the rows [${firstRow}, ${lastRow}), and a piece of the rows [${needed.first}, ${needed.last})`,
  );
}

function isPlain({ updates, rows }: TensorSource): boolean {
  return updates.length === 0 && rows === undefined;
}
