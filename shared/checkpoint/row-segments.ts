/** Consecutive rows of a matrix that is put together from rows of others, by where they come from. */
export type RowSegment =
  /** `count` consecutive rows of one tensor. */
  | { readonly kind: "run"; readonly count: number; readonly tensor: number; readonly row: number }
  /** `count` equal rows: the weighted sum of rows, each term `rows` consecutive ones of a tensor with one weight. */
  | { readonly kind: "combination"; readonly count: number; readonly terms: readonly RowTerm[] }
  | { readonly kind: "zero"; readonly count: number };

export interface RowTerm {
  readonly tensor: number;
  readonly row: number;
  readonly rows: number;
  readonly weight: number;
}
