import type { Outcome } from "../searching.js";

/** By how much one model scores better than another on the same examples. */
export interface PairedDifference {
  /** Weighted mean over the tasks of the mean difference of their examples. */
  readonly difference: number;
  readonly standardError: number;
  /** Over all tasks. */
  readonly examples: number;
}

/** Fewer differences say nothing about their own spread. */
const fewestExamples = 2;

/**
 * Tasks count as in the weighted mean of their scores, whose error is √(Σ w² s²/n) / Σ w. Undefined where a task that counts
 * has no scores by example of both: what it would say is not known.
 *
 * @param weights Of each task that counts; undefined: all that there are, equally
 */
export function pairedDifference(
  better: Outcome,
  worse: Outcome,
  weights?: ReadonlyMap<string, number>,
): PairedDifference | undefined {
  const counted = weights === undefined ? [...better.examples.keys()].map((task) => [task, 1] as const) : [...weights];
  const moments = counted
    .filter(([, weight]) => weight > 0)
    .map(([task, weight]) => {
      const [ones, others] = [better.examples.get(task), worse.examples.get(task)];
      if (ones === undefined || ones.length !== others?.length || ones.length < fewestExamples) return undefined;
      return { weight, ...momentsOf(ones.map((one, i) => one - (others[i] ?? 0))) };
    });
  const known = moments.filter((one) => one !== undefined);
  if (known.length === 0 || known.length < moments.length) return undefined;
  const sum = (of: (one: (typeof known)[number]) => number): number => known.reduce((total, one) => total + of(one), 0);
  const total = sum(({ weight }) => weight);
  return {
    difference: sum(({ weight, mean }) => weight * mean) / total,
    standardError: Math.sqrt(sum(({ weight, variance, count }) => (weight ** 2 * variance) / count)) / total,
    examples: sum(({ count }) => count),
  };
}

function momentsOf(values: Float64Array): { readonly mean: number; readonly variance: number; readonly count: number } {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1), count };
}
