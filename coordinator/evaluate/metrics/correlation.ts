import { meanOf } from "./mean.js";

/** Pearson's r; NaN when one of the two is constant. */
export function pearson(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [meanOf(a), meanOf(b)];
  let [both, squaresA, squaresB] = [0, 0, 0];
  for (const [i, value] of a.entries()) {
    const fromA = value - meanA;
    const fromB = (b[i] ?? Number.NaN) - meanB;
    both += fromA * fromB;
    squaresA += fromA * fromA;
    squaresB += fromB * fromB;
  }
  // Rounding must not make a perfect correlation more than that.
  return Math.max(-1, Math.min(1, both / Math.sqrt(squaresA * squaresB)));
}

/** Spearman's rho: Pearson's r of the ranks, where equal values share the mean of theirs. */
export function spearman(a: readonly number[], b: readonly number[]): number {
  return pearson(ranksOf(a), ranksOf(b));
}

/** From 1. Ties share their mean rank; NaN has none, and is NaN. */
export function ranksOf(values: readonly number[]): readonly number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const ranks = new Array<number>(values.length).fill(Number.NaN);
  for (let start = 0; start < order.length; ) {
    const value = values[order[start] ?? 0];
    let end = start + 1;
    while (end < order.length && values[order[end] ?? 0] === value) end++;
    if (value !== undefined && !Number.isNaN(value)) {
      for (const index of order.slice(start, end)) ranks[index] = (start + 1 + end) / 2;
    }
    start = end;
  }
  return ranks;
}
