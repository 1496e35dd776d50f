import { philox4x32, type RandomKey, randomKey } from "../../../shared/expression/random.js";
import type { ExampleRecord, Metric } from "../types.js";

const resamplesOfMeans = { most: 10_000, maxDraws: 1e8 };
const resamplesOfOthers = { most: 1_000, maxDraws: 2e7 };
const fewestResamples = 200;

/**
 * How often so many records are resampled: 10,000 times for a mean, 1,000 for any other metric. Tasks of more than 10,000
 * or 20,000 records are resampled less often, so that an interval takes seconds at most; it is the narrower anyway.
 */
export function resampleCount(records: number, metric: Metric): number {
  const { most, maxDraws } = metric.meanOf === undefined ? resamplesOfOthers : resamplesOfMeans;
  return Math.min(most, Math.max(fewestResamples, Math.floor(maxDraws / Math.max(1, records))));
}

/**
 * Draws with replacement, the same for every model that is measured so: a resample depends on the task's name, the
 * metric's, the resample's number and how many records there are. Philox gives each resample a state of its own, from
 * which xoshiro128** draws, some ten times as fast.
 */
export class Resamples {
  readonly #key: RandomKey;
  readonly #drawn: Uint32Array;

  constructor(task: string, metric: string, records: number) {
    this.#key = randomKey(0, JSON.stringify([task, metric]), 0);
    this.#drawn = new Uint32Array(records);
  }

  /** Which records the resample has, by number, as many as there are. The array is overwritten by the next call. */
  draw(resample: number): Uint32Array {
    const drawn = this.#drawn;
    const records = drawn.length;
    // xoshiro128** 1.1 (Blackman and Vigna 2021, "Scrambled Linear Pseudorandom Number Generators").
    let [a, b, c, d] = philox4x32([resample, 0, 0, 0], this.#key);
    for (let i = 0; i < records; i++) {
      const word = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = rotate(d, 11);
      drawn[i] = Math.floor((word / 2 ** 32) * records);
    }
    return drawn;
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** A function from a resample to the metric's value on it. A mean needs the scores only, not the records. */
export function onResamples(metric: Metric, records: readonly ExampleRecord[]): (drawn: Uint32Array) => number {
  const { meanOf } = metric;
  if (metric.onCounts !== undefined) {
    const measure = metric.onCounts(records);
    const counts = new Uint32Array(records.length);
    return (drawn) => {
      counts.fill(0);
      for (const record of drawn) counts[record] = (counts[record] ?? 0) + 1;
      return measure(counts);
    };
  }
  if (meanOf === undefined) {
    const resampled = new Array<ExampleRecord>(records.length);
    return (drawn) => {
      for (const [i, record] of drawn.entries()) resampled[i] = records[record] as ExampleRecord;
      return metric.of(resampled);
    };
  }
  const scores = Float64Array.from(records, (record) => record.scores[meanOf] ?? Number.NaN);
  return (drawn) => {
    let sum = 0;
    for (let i = 0; i < drawn.length; i++) sum += scores[drawn[i] ?? 0] ?? Number.NaN;
    return sum / drawn.length;
  };
}
