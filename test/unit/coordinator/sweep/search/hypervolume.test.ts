import { expect, test } from "vitest";
import { hypervolume } from "../../../../../coordinator/sweep/search/hypervolume.js";
import { Random } from "../../../../../coordinator/sweep/search/random.js";

// Volumes of random points as pymoo 0.6.2 gives them: pymoo.indicators.hv.HV with a reference of ones.
const two = [
  [0.45, 0.8],
  [0.23, 0.05],
  [0.4, 0.2],
  [0.09, 0.58],
  [0.3, 0.67],
  [0.2, 0.94],
];
const three = [
  [0.64, 0.27, 0.04],
  [0.02, 0.81, 0.91],
  [0.61, 0.73, 0.54],
  [0.94, 0.82, 0.0],
  [0.86, 0.03, 0.73],
  [0.18, 0.86, 0.54],
  [0.3, 0.42, 0.03],
  [0.12, 0.67, 0.65],
];
const four = [
  [0.62, 0.38, 1.0, 0.98],
  [0.69, 0.65, 0.69, 0.39],
  [0.14, 0.72, 0.53, 0.31],
  [0.49, 0.89, 0.93, 0.36],
  [0.57, 0.32, 0.59, 0.34],
  [0.39, 0.89, 0.23, 0.62],
  [0.08, 0.83, 0.79, 0.24],
  [0.88, 0.06, 0.34, 0.15],
];

test.each([
  ["two", two, 0.7903],
  ["three", three, 0.479404],
])("hypervolume below %s objectives is exact", (_, losses, expected) => {
  const reference = (losses[0] ?? []).map(() => 1);
  expect(hypervolume(losses, reference)).toBeCloseTo(expected, 12);
});

test("hypervolume of four objectives is estimated to a percent", () => {
  const volume = hypervolume(four, [1, 1, 1, 1], new Random(0, "hypervolume"));
  expect(volume / 0.1742037).toBeGreaterThan(0.99);
  expect(volume / 0.1742037).toBeLessThan(1.01);
});

test("points that are not below the reference add nothing, nor do points twice", () => {
  expect(hypervolume([[0.5], [0.25]], [1])).toBe(0.75);
  expect(hypervolume([], [1, 1])).toBe(0);
  expect(hypervolume([[2, 0]], [1, 1])).toBe(0);
  expect(hypervolume([...two, ...two, [2, -1]], [1, 1])).toBeCloseTo(0.7903, 12);
});
