import { addScaled, type Matrix, rowOf, scale, zeros } from "../../shared/linalg/matrix.js";
import { svdOfProduct, truncate } from "../../shared/linalg/svd.js";

/** B A: two factors of an out × in matrix, kept as `a` (rank × in) and the transpose of B, `b` (rank × out). */
export interface Factors {
  readonly a: Matrix;
  readonly b: Matrix;
}

/** weight · B A, the adapter's own scale included in the weight. */
export interface Term {
  readonly factors: Factors;
  readonly weight: number;
}

export const combinations = ["linear", "concatenate", "svd"] as const;
export type Combination = (typeof combinations)[number];

/**
 * Adds A to A and B to B, each weighted by √|w|, A with the weight's sign: PEFT's `add_weighted_adapter("linear")`. Not
 * the sum of the products, since factors of one adapter meet those of another; for adapters from one training run. All
 * terms have one rank, which the sum keeps.
 */
export function addFactors(terms: readonly Term[]): Factors {
  const { a, b } = firstOf(terms);
  const sum: Factors = { a: zeros(a.rows, a.columns), b: zeros(b.rows, b.columns) };
  for (const { factors, weight } of terms) {
    const root = Math.sqrt(Math.abs(weight));
    addScaled(sum.a.data, weight < 0 ? -root : root, factors.a.data);
    addScaled(sum.b.data, root, factors.b.data);
  }
  return sum;
}

/** Σ weight · B A exactly, of rank Σ rank: A's stacked, and weighted B's side by side. */
export function concatenate(terms: readonly Term[]): Factors {
  const { a, b } = firstOf(terms);
  const rank = terms.reduce((total, { factors }) => total + factors.a.rows, 0);
  const stacked: Factors = { a: zeros(rank, a.columns), b: zeros(rank, b.columns) };
  let row = 0;
  for (const { factors, weight } of terms) {
    stacked.a.data.set(factors.a.data, row * a.columns);
    const weighted = stacked.b.data.subarray(row * b.columns, (row + factors.b.rows) * b.columns);
    addScaled(weighted, weight, factors.b.data);
    row += factors.a.rows;
  }
  return stacked;
}

/**
 * The matrix of rank `rank` nearest to Σ weight · B A, by a QR of either stack and an SVD of what is between them; exact
 * where the rank is enough. The singular values go into both factors alike, √σ each. The rank can come out smaller: no
 * more than the stack or the matrix has.
 */
export function recompress(terms: readonly Term[], rank: number): Factors {
  const { a, b } = concatenate(terms);
  const whole = svdOfProduct(b, a);
  const { values, left, right } = truncate(whole, Math.min(rank, a.rows, a.columns, b.columns));
  values.forEach((value, i) => {
    const root = Math.sqrt(value);
    scale(rowOf(left, i), root);
    scale(rowOf(right, i), root);
  });
  return { a: right, b: left };
}

function firstOf(terms: readonly Term[]): Factors {
  const [first] = terms;
  if (first === undefined) throw new RangeError("Cannot combine no factors");
  return first.factors;
}
