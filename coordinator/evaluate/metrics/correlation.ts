/** Pearson's r; NaN when one of the two is constant. `counts`: how often each pair counts. @default once */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>, counts?: ArrayLike<number>): number {
  const countOf = (i: number): number => counts?.[i] ?? 1;
  let [total, sumA, sumB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const count = countOf(i);
    if (count === 0) continue;
    total += count;
    sumA += count * (a[i] ?? Number.NaN);
    sumB += count * (b[i] ?? Number.NaN);
  }
  const [meanA, meanB] = [sumA / total, sumB / total];
  let [both, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const count = countOf(i);
    if (count === 0) continue;
    const fromA = (a[i] ?? Number.NaN) - meanA;
    const fromB = (b[i] ?? Number.NaN) - meanB;
    both += count * fromA * fromB;
    squaresA += count * fromA * fromA;
    squaresB += count * fromB * fromB;
  }
  // Rounding must not make a perfect correlation more than that.
  return Math.max(-1, Math.min(1, both / Math.sqrt(squaresA * squaresB)));
}

/** Spearman's rho: Pearson's r of the ranks, where equal values share the mean of theirs. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return pearson(ranksOf(a, ascending(a)), ranksOf(b, ascending(b)));
}

/** Spearman's rho of resamples, by how often each pair is in one: the values are sorted once for all of them. */
export function spearmanOnCounts(a: ArrayLike<number>, b: ArrayLike<number>): (counts: ArrayLike<number>) => number {
  const [orderA, orderB] = [ascending(a), ascending(b)];
  return (counts) => pearson(ranksOf(a, orderA, counts), ranksOf(b, orderB, counts), counts);
}

/** From 1. Ties share their mean rank; NaN has none, and is NaN. `order`: the values' places, {@link ascending}. */
function ranksOf(values: ArrayLike<number>, order: Uint32Array, counts?: ArrayLike<number>): Float64Array {
  const ranks = new Float64Array(values.length).fill(Number.NaN);
  let before = 0;
  for (let start = 0; start < order.length; ) {
    const value = values[order[start] ?? 0];
    let [end, tied] = [start, 0];
    do {
      tied += counts?.[order[end] ?? 0] ?? 1;
      end++;
    } while (end < order.length && values[order[end] ?? 0] === value);
    if (value !== undefined && !Number.isNaN(value)) {
      for (const index of order.subarray(start, end)) ranks[index] = before + (tied + 1) / 2;
    }
    before += tied;
    start = end;
  }
  return ranks;
}

/** The places of values from the least to the greatest. */
function ascending(values: ArrayLike<number>): Uint32Array {
  return Uint32Array.from(values, (_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
}
