import { type ComputableDtype, type Dtype, isComputable } from "../../shared/checkpoint/dtypes.js";
import type { RowSegment } from "../../shared/checkpoint/row-segments.js";
import { AmalgamError } from "../../shared/errors.js";

/** A tensor in one of the unit's source files. */
export interface StoredInput {
  /** Into the unit's sources. */
  readonly file: number;
  /** Of the tensor's first byte. */
  readonly offset: number;
  readonly dtype: Dtype;
  /** Applied in this order as the tensor is read. */
  readonly updates?: readonly LowRankUpdate[];
}

/** W + scale · B A (LoRA; Hu et al. 2021, section 4.1), A being rank × in and B out × rank. */
export interface LowRankUpdate {
  readonly a: StoredInput;
  readonly b: StoredInput;
  readonly rank: number;
  readonly scale: number;
  /** W is in × out, so (B A)ᵀ is added. */
  readonly transposed: boolean;
}

/** An input of a piece: a stored tensor, or with `rows` a matrix whose place above means nothing. */
export interface PieceInput extends StoredInput {
  readonly rows?: RowMap;
}

/** A matrix put together from rows of stored ones, which have as many columns. */
export interface RowMap {
  readonly tensors: readonly (StoredInput & { readonly rows: number })[];
  /** The row of the matrix that the first segment begins with. */
  readonly firstRow: number;
  readonly segments: readonly RowSegment[];
}

/** The input is put together while it is read, so it is not what the file holds. */
export function isDerived({ updates, rows }: PieceInput): boolean {
  return updates !== undefined || rows !== undefined;
}

/** The dtype that kernels see: what is derived comes as F32. */
export function readDtype(input: PieceInput): Dtype {
  return isDerived(input) ? "F32" : input.dtype;
}

/** Requests are checked before they run, so a place that does not exist is a bug. */
export function existing<T>(list: readonly T[], place: number, what: string): T {
  const item = list[place];
  if (item === undefined) throw new AmalgamError("internal", `A row map has no ${what} ${place}`);
  return item;
}

/** Checked with the request, too. */
export function computable(dtype: Dtype): ComputableDtype {
  if (!isComputable(dtype)) throw new AmalgamError("internal", `Cannot compute on a tensor of dtype ${dtype}`);
  return dtype;
}
