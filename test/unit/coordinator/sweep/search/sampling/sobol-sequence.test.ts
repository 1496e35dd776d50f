import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import {
  maxSobolDimensions,
  SobolSequence,
} from "../../../../../../coordinator/sweep/search/sampling/sobol-sequence.js";

function points(count: number, sequence: SobolSequence): number[][] {
  return Array.from({ length: count }, () => sequence.next());
}

/** Squared L2 star discrepancy (Warnock 1972): how unevenly points fill the cube. */
function discrepancy(those: readonly number[][]): number {
  const n = those.length;
  const d = those[0]?.length ?? 0;
  let sum = 3 ** -d;
  for (const x of those) {
    sum -= (2 / n) * x.reduce((product, value) => (product * (1 - value * value)) / 2, 1);
    for (const y of those)
      sum += x.reduce((product, value, i) => product * (1 - Math.max(value, y[i] ?? 0)), 1) / n ** 2;
  }
  return sum;
}

test("the points are SciPy's", () => {
  const all = points(64, new SobolSequence(64));
  const some = [0, 1, 2, 7, 20, 39, 63];
  // scipy.stats.qmc.Sobol(64, scramble=False) of SciPy 1.17.1
  expect(some.map((dimension) => all[5]?.[dimension])).toEqual([0.875, 0.875, 0.125, 0.375, 0.625, 0.375, 0.625]);
  expect(some.map((dimension) => all[63]?.[dimension])).toEqual([
    0.015625, 0.796875, 0.359375, 0.140625, 0.234375, 0.171875, 0.734375,
  ]);
});

test("so are the first 1,024 of all 64 dimensions, to the last bit", () => {
  const bytes = Float64Array.from(points(1024, new SobolSequence(64)).flat());
  const digest = createHash("sha256").update(bytes).digest("hex");
  expect(digest).toBe("f84047f5f836fda303cf9fa92fc95e3564eb9fd90a6d584b6aff7292a6f21c61");
});

test.each([0, 1, 2])("scrambled by seed %i, every interval of 1/64 has one of 64 points in every dimension", (seed) => {
  const all = points(64, new SobolSequence(64, new Random(seed, "scramble")));
  for (let dimension = 0; dimension < 64; dimension += 1) {
    expect(new Set(all.map((point) => Math.floor(64 * (point[dimension] ?? 0)))).size).toBe(64);
  }
});

test("scrambled points are as even, and more so than random ones", () => {
  const random = new Random(0, "random");
  const scrambled = discrepancy(points(256, new SobolSequence(5, new Random(1, "scramble"))));
  const plain = discrepancy(Array.from({ length: 256 }, () => Array.from({ length: 5 }, () => random.uniform())));
  expect(scrambled).toBeLessThan(plain / 4);
});

test("a scrambled point by itself is anywhere: the first of 400 seeds has mean 1/2 and variance 1/12", () => {
  const firsts = Array.from(
    { length: 400 },
    (_, seed) => new SobolSequence(1, new Random(seed, "scramble")).next()[0] ?? 0,
  );
  const mean = firsts.reduce((sum, x) => sum + x, 0) / 400;
  const variance = firsts.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 400;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.05);
  expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.015);
});

test("dimensions beyond the table are padded with random numbers, and refused without any", () => {
  const padded = points(8, new SobolSequence(maxSobolDimensions + 3, new Random(0, "scramble")));
  expect(padded.every((point) => point.length === 67)).toBe(true);
  expect(new Set(padded.map((point) => point[66])).size).toBe(8);
  expect(() => new SobolSequence(65)).toThrow("has at most 64 dimensions");
});
