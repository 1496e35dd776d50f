import type { ExampleRecord, Metric } from "../types.js";

/** The mean of a score over the records; NaN without any. */
export function meanMetric(name: string, score: string = name, higherIsBetter = true): Metric {
  return { name, higherIsBetter, meanOf: score, of: (records) => meanOf(scoresOf(records, score)) };
}

/** A score of all records, NaN where one lacks it. */
export function scoresOf(records: readonly ExampleRecord[], score: string): readonly number[] {
  return records.map(({ scores }) => scores[score] ?? Number.NaN);
}

export function meanOf(values: readonly number[]): number {
  return sumOf(values) / values.length;
}

export function sumOf(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
