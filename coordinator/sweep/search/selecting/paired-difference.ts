import type { Outcome } from "../searching.js";

/** By how much one model scores better than another on the same examples. */
export interface PairedDifference {
  /** Mean over the tasks of the mean difference of their examples. */
  readonly difference: number;
  readonly standardError: number;
  /** Over all tasks. */
  readonly examples: number;
}

/** Fewer differences say nothing about their own spread. */
const fewestExamples = 2;

/**
 * Every task counts equally, as in a mean over tasks, so that its error is √(Σ s²/n) / tasks. Undefined where no task has
 * scores by example of both.
 *
 * @param tasks Only these; undefined: all
 */
export function pairedDifference(
  better: Outcome,
  worse: Outcome,
  tasks?: readonly string[],
): PairedDifference | undefined {
  const chosen = tasks ?? [...better.examples.keys()];
  const moments = chosen.flatMap((task) => {
    const [ones, others] = [better.examples.get(task), worse.examples.get(task)];
    if (ones === undefined || others === undefined || ones.length !== others.length) return [];
    return ones.length < fewestExamples ? [] : [momentsOf(ones.map((one, i) => one - (others[i] ?? 0)))];
  });
  if (moments.length === 0) return undefined;
  return {
    difference: moments.reduce((sum, { mean }) => sum + mean, 0) / moments.length,
    standardError: Math.sqrt(moments.reduce((sum, { variance, count }) => sum + variance / count, 0)) / moments.length,
    examples: moments.reduce((sum, { count }) => sum + count, 0),
  };
}

function momentsOf(values: Float64Array): { readonly mean: number; readonly variance: number; readonly count: number } {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1), count };
}
