import { describe, expect, test } from "vitest";
import {
  combination,
  Proposed,
  pointCount,
  resolutionOf,
  valuesOf,
} from "../../../../../coordinator/sweep/search/finite.js";
import type { Dimension, Space } from "../../../../../coordinator/sweep/space.js";

const density: Dimension = { kind: "range", name: "density", low: 0.1, high: 0.5, scale: "linear", step: 0.2 };
const uneven: Dimension = { kind: "range", name: "layers", low: 1, high: 4.5, scale: "linear", step: 1 };
const weight: Dimension = { kind: "range", name: "weight", low: 0, high: 1, scale: "linear" };
const method: Dimension = { kind: "choice", name: "method", values: ["ties", "linear", true] };
const fixed: Dimension = { kind: "range", name: "fixed", low: 2, high: 2, scale: "linear" };

test.each([
  [density, [0.1, 0.3, 0.5], 0.5],
  [uneven, [1, 2, 3, 4], 1 / 3.5],
  [method, ["ties", "linear", true], 1 / 3],
  [fixed, [2], undefined],
  [weight, undefined, undefined],
])("values of $name", (dimension, values, resolution) => {
  expect(valuesOf(dimension)).toEqual(values);
  if (resolution === undefined) expect(resolutionOf(dimension)).toBeUndefined();
  else expect(resolutionOf(dimension)).toBeCloseTo(resolution, 12);
});

test("a space has as many points as its dimensions have combinations", () => {
  const space: Space = [density, method, fixed];
  expect(pointCount(space)).toBe(9);
  expect(pointCount([...space, weight])).toBe(Number.POSITIVE_INFINITY);
  const values = space.map((dimension) => valuesOf(dimension) ?? []);
  const points = Array.from({ length: 9 }, (_, i) => combination(space, values, i));
  expect(points.slice(0, 4)).toEqual([
    { density: 0.1, method: "ties", fixed: 2 },
    { density: 0.1, method: "linear", fixed: 2 },
    { density: 0.1, method: true, fixed: 2 },
    { density: 0.3, method: "ties", fixed: 2 },
  ]);
  expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(9);
});

describe("Proposed", () => {
  test("finds every point of a small space, even if the draws are always the same, and then none", () => {
    const proposed = new Proposed([density, method]);
    const points = Array.from({ length: 9 }, () => proposed.fresh(() => ({ density: 0.1, method: "ties" })));
    expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(9);
    expect(proposed.isComplete).toBe(true);
    expect(proposed.fresh(() => ({ density: 0.1, method: "ties" }))).toBeUndefined();
  });

  test("knows a point whatever the order of its values", () => {
    const proposed = new Proposed([density, method]);
    expect(proposed.add({ density: 0.1, method: "ties" })).toBe(true);
    expect(proposed.add({ method: "ties", density: 0.1 })).toBe(false);
  });
});
