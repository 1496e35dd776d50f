/** Bins of values at most; fewer trials have fewer bins, so that each holds some. */
const maxBins = 10;

/** Below so many trials nothing is said. */
export const fewestForImportance = 10;

/**
 * How much of the differences between trials a parameter accounts for by itself, in [0, 1]: a one-way analysis of variance
 * of the ranks of the scores over bins of the parameter's values, as ε² = (SSB − (k − 1)·MSW) / SST, which is 0 in
 * expectation where there is no effect (Kelley 1935; of ranks as in Kruskal and Wallis 1952). Ranks, since one merge that
 * fell apart would else outweigh all others; bins, since the effect of a coefficient goes up and down.
 *
 * It sees no interactions, and in trials that a search chose, parameters that moved together share the credit.
 * Values that come again and again are bins of their own. 0 where there are fewer than ten trials.
 */
export function importanceOf(values: readonly number[], scores: readonly number[]): number {
  return importanceIn(binsOf(values), ranksOf(scores));
}

/** The same of bins and ranks: several parameters have scores in common, several scores have parameters. */
export function importanceIn(bins: readonly number[], ranks: readonly number[]): number {
  const count = bins.length;
  if (count < fewestForImportance) return 0;
  const groups = new Map<number, { sum: number; size: number }>();
  const mean = (count + 1) / 2;
  let total = 0;
  for (const [i, bin] of bins.entries()) {
    const rank = ranks[i] ?? 0;
    const group = groups.get(bin) ?? { sum: 0, size: 0 };
    if (group.size === 0) groups.set(bin, group);
    group.sum += rank;
    group.size += 1;
    total += (rank - mean) ** 2;
  }
  if (total === 0 || groups.size < 2 || groups.size === count) return 0;
  const between = [...groups.values()].reduce((sum, { sum: all, size }) => sum + size * (all / size - mean) ** 2, 0);
  const within = (total - between) / (count - groups.size);
  return Math.min(1, Math.max(0, (between - (groups.size - 1) * within) / total));
}

/** Ranks from 1; equal values share the mean of theirs. */
export function ranksOf(values: readonly number[]): readonly number[] {
  const order = [...values.keys()].toSorted((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const ranks = new Array<number>(values.length).fill(0);
  for (let first = 0; first < order.length; ) {
    let next = first + 1;
    while (next < order.length && values[order[next] ?? 0] === values[order[first] ?? 0]) next += 1;
    for (let i = first; i < next; i += 1) ranks[order[i] ?? 0] = (first + 1 + next) / 2;
    first = next;
  }
  return ranks;
}

/** The bin of each value: about equally many in each, equal values never apart. */
export function binsOf(values: readonly number[]): readonly number[] {
  if (new Set(values).size <= Math.min(maxBins, values.length / 3)) return values;
  const count = Math.min(maxBins, Math.max(2, Math.floor(Math.sqrt(values.length / 2))));
  const ranks = ranksOf(values);
  return ranks.map((rank) => Math.min(count - 1, Math.floor(((rank - 0.5) / values.length) * count)));
}
