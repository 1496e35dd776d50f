import type { Estimate, ExampleRecord, Metric } from "../types.js";
import { intervalOf } from "./bootstrap.js";
import { mcNemar } from "./mc-nemar.js";
import type { PairedRecords } from "./pair.js";
import { onResamples, Resamples, resampleCount } from "./resamples.js";

/** How two models differ on the same examples. */
export interface PairedDifference {
  readonly a: number;
  readonly b: number;
  /** b − a, in the metric's own unit, with its 95 % interval. */
  readonly difference: Estimate;
  /**
   * How likely so large a difference is where there is none, two-sided: McNemar's exact test for scores of 0 and 1,
   * else by the share of resamples on the other side of zero. NaN where the records do not say.
   */
  readonly p: number;
  readonly test: "mcnemar" | "bootstrap";
  /** On how many examples b did better than a, worse, or the same; undefined where no score of an example says. */
  readonly examples: { readonly wins: number; readonly losses: number; readonly ties: number } | undefined;
}

/** Compares two models on the same resamples of the same examples. */
export function comparePaired(task: string, metric: Metric, { a, b }: PairedRecords): PairedDifference {
  const values = { a: metric.of(a), b: metric.of(b) };
  const resampled = differences(task, metric, { a, b });
  const bounds = resampled === undefined ? { low: Number.NaN, high: Number.NaN } : intervalOf(resampled);
  const pairs = scorePairs(metric, { a, b });
  const examples = pairs && countWins(pairs, metric.higherIsBetter);
  const isBinary = metric.meanOf !== undefined && pairs?.flat().every((score) => score === 0 || score === 1) === true;
  const p =
    isBinary && examples !== undefined
      ? mcNemar(examples.wins, examples.losses)
      : twoSided(resampled ?? new Float64Array());
  return {
    ...values,
    difference: { value: values.b - values.a, ...bounds },
    p,
    test: isBinary ? "mcnemar" : "bootstrap",
    examples,
  };
}

function differences(task: string, metric: Metric, { a, b }: PairedRecords): Float64Array | undefined {
  if (a.length < 2) return undefined;
  const resamples = new Resamples(task, metric.name, a.length);
  const [valueA, valueB] = [onResamples(metric, a), onResamples(metric, b)];
  return Float64Array.from({ length: resampleCount(a.length, metric) }, (_, i) => {
    const drawn = resamples.draw(i);
    return valueB(drawn) - valueA(drawn);
  });
}

/**
 * Twice the smaller tail of the resampled differences. One more is counted on each side, so that no finite number of
 * resamples gives a p of zero (Davison and Hinkley 1997, section 4.2).
 */
function twoSided(differences: Float64Array): number {
  const known = differences.filter((difference) => !Number.isNaN(difference));
  if (2 * known.length <= differences.length) return Number.NaN;
  const notAbove = known.filter((difference) => difference <= 0).length;
  const notBelow = known.filter((difference) => difference >= 0).length;
  return Math.min(1, (2 * (Math.min(notAbove, notBelow) + 1)) / (known.length + 1));
}

/** Each example's own score with both models, if the metric has such a thing. */
function scorePairs(metric: Metric, { a, b }: PairedRecords): readonly (readonly [number, number])[] | undefined {
  const name = metric.meanOf ?? metric.name;
  const score = (record: ExampleRecord | undefined): number => record?.scores[name] ?? Number.NaN;
  const pairs = a.map((record, i) => [score(record), score(b[i])] as const);
  return pairs.length > 0 && pairs.every((pair) => !pair.some(Number.isNaN)) ? pairs : undefined;
}

function countWins(pairs: readonly (readonly [number, number])[], higherIsBetter: boolean) {
  const above = pairs.filter(([a, b]) => b > a).length;
  const below = pairs.filter(([a, b]) => b < a).length;
  const [wins, losses] = higherIsBetter ? [above, below] : [below, above];
  return { wins, losses, ties: pairs.length - above - below };
}
