import type { ExampleRecord, Metric } from "../types.js";
import { meanMetric, meanOf, scoresOf, sumOf } from "./mean.js";

/** A record's scores are a pair for every label: `p:<label>`, its probability, and `y:<label>`, 1 where it is right. */
export const probabilityPrefix = "p:";
export const truthPrefix = "y:";

interface Label {
  readonly probabilities: Float64Array;
  /** 1 or 0 for each record. */
  readonly truths: Uint8Array;
}

/** A number for records that each count so often. */
type OnCounts = (counts: Uint32Array) => number;

/** scikit-learn's definitions. An F1 without anything to find or found is 0 (`zero_division=0`). */
export function multiLabelMetrics(threshold: number): readonly Metric[] {
  const of = (name: string, measure: (labels: readonly Label[]) => OnCounts): Metric => {
    const onCounts = (records: readonly ExampleRecord[]): OnCounts => measure(labelsOf(records));
    const once = ({ length }: readonly ExampleRecord[]): Uint32Array => new Uint32Array(length).fill(1);
    return { name, higherIsBetter: true, of: (records) => onCounts(records)(once(records)), onCounts };
  };
  return [
    of("micro_f1", (labels) => (counts) => f1(addUp(labels.map((label) => found(label, threshold, counts))))),
    of("macro_f1", (labels) => (counts) => meanOf(labels.map((label) => f1(found(label, threshold, counts))))),
    meanMetric("acc"),
    of("mean_average_precision", (labels) => {
      const precisions = labels.map(averagePrecision);
      return (counts) => meanOf(precisions.map((of) => of(counts)).filter((value) => value !== undefined));
    }),
  ];
}

function labelsOf(records: readonly ExampleRecord[]): readonly Label[] {
  const names = Object.keys(records[0]?.scores ?? {}).filter((name) => name.startsWith(probabilityPrefix));
  return names.map((name) => {
    const truth = truthPrefix + name.slice(probabilityPrefix.length);
    return {
      probabilities: Float64Array.from(scoresOf(records, name)),
      truths: Uint8Array.from(records, ({ scores }) => (scores[truth] === 1 ? 1 : 0)),
    };
  });
}

interface Found {
  readonly right: number;
  readonly predicted: number;
  readonly actual: number;
}

function found({ probabilities, truths }: Label, threshold: number, counts: Uint32Array): Found {
  let [right, predicted, actual] = [0, 0, 0];
  for (let i = 0; i < counts.length; i++) {
    const [count, truth] = [counts[i] ?? 0, truths[i] ?? 0];
    const isPredicted = (probabilities[i] ?? Number.NaN) > threshold;
    actual += count * truth;
    if (isPredicted) predicted += count;
    if (isPredicted) right += count * truth;
  }
  return { right, predicted, actual };
}

function addUp(all: readonly Found[]): Found {
  return {
    right: sumOf(all.map(({ right }) => right)),
    predicted: sumOf(all.map(({ predicted }) => predicted)),
    actual: sumOf(all.map(({ actual }) => actual)),
  };
}

function f1({ right, predicted, actual }: Found): number {
  return predicted + actual === 0 ? 0 : (2 * right) / (predicted + actual);
}

/**
 * The mean over the right examples of the precision at their score; examples of equal score are taken together. Undefined
 * without a right example, NaN where a probability is.
 */
function averagePrecision({ probabilities, truths }: Label): (counts: Uint32Array) => number | undefined {
  const order = Uint32Array.from(truths, (_, i) => i).sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0));
  return (counts) => {
    let [seen, right, sum] = [0, 0, 0];
    for (let start = 0; start < order.length; ) {
      const score = probabilities[order[start] ?? 0] ?? Number.NaN;
      let [here, rightHere, end] = [0, 0, start];
      do {
        const example = order[end] ?? 0;
        const count = counts[example] ?? 0;
        here += count;
        rightHere += count * (truths[example] ?? 0);
        end++;
      } while (end < order.length && probabilities[order[end] ?? 0] === score);
      if (here > 0 && Number.isNaN(score)) return Number.NaN;
      seen += here;
      right += rightHere;
      if (rightHere > 0) sum += (rightHere * right) / seen;
      start = end;
    }
    return right === 0 ? undefined : sum / right;
  };
}
