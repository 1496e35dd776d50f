import type { ExampleRecord, Metric } from "../types.js";
import { meanMetric, meanOf, sumOf } from "./mean.js";

/** A record's scores are a pair for every label: `p:<label>`, its probability, and `y:<label>`, 1 where it is right. */
export const probabilityPrefix = "p:";
export const truthPrefix = "y:";

interface Label {
  readonly probabilities: readonly number[];
  readonly truths: readonly boolean[];
}

/** scikit-learn's definitions. An F1 without anything to find or found is 0 (`zero_division=0`). */
export function multiLabelMetrics(threshold: number): readonly Metric[] {
  const of = (name: string, compute: (labels: readonly Label[]) => number): Metric => {
    return { name, higherIsBetter: true, of: (records) => compute(labelsOf(records)) };
  };
  return [
    of("micro_f1", (labels) => f1(addUp(labels.map((label) => countsOf(label, threshold))))),
    of("macro_f1", (labels) => meanOf(labels.map((label) => f1(countsOf(label, threshold))))),
    meanMetric("acc"),
    of("mean_average_precision", (labels) => {
      const known = labels.filter(({ truths }) => truths.includes(true));
      return meanOf(known.map(({ probabilities, truths }) => averagePrecision(probabilities, truths)));
    }),
  ];
}

function labelsOf(records: readonly ExampleRecord[]): readonly Label[] {
  const names = Object.keys(records[0]?.scores ?? {}).filter((name) => name.startsWith(probabilityPrefix));
  return names.map((name) => {
    const truth = truthPrefix + name.slice(probabilityPrefix.length);
    return {
      probabilities: records.map(({ scores }) => scores[name] ?? Number.NaN),
      truths: records.map(({ scores }) => scores[truth] === 1),
    };
  });
}

interface Counts {
  readonly right: number;
  readonly predicted: number;
  readonly actual: number;
}

function countsOf({ probabilities, truths }: Label, threshold: number): Counts {
  const predicted = probabilities.map((probability) => probability > threshold);
  return {
    right: predicted.filter((is, i) => is && truths[i]).length,
    predicted: predicted.filter(Boolean).length,
    actual: truths.filter(Boolean).length,
  };
}

function addUp(counts: readonly Counts[]): Counts {
  return {
    right: sumOf(counts.map(({ right }) => right)),
    predicted: sumOf(counts.map(({ predicted }) => predicted)),
    actual: sumOf(counts.map(({ actual }) => actual)),
  };
}

function f1({ right, predicted, actual }: Counts): number {
  return predicted + actual === 0 ? 0 : (2 * right) / (predicted + actual);
}

/** The mean over the right examples of the precision at their score; examples of equal score are taken together. */
export function averagePrecision(scores: readonly number[], truths: readonly boolean[]): number {
  const order = scores.map((_, i) => i).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  let [seen, right, sum] = [0, 0, 0];
  for (let start = 0; start < order.length; ) {
    const score = scores[order[start] ?? 0];
    let end = start + 1;
    while (end < order.length && scores[order[end] ?? 0] === score) end++;
    const found = order.slice(start, end).filter((i) => truths[i]).length;
    seen += end - start;
    right += found;
    sum += (found * right) / seen;
    start = end;
  }
  return sum / right;
}
