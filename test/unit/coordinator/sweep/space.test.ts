import { expect, test } from "vitest";
import { Random } from "../../../../coordinator/sweep/search/random.js";
import {
  coordinateOf,
  type Dimension,
  fromUnit,
  startOf,
  toUnit,
  valueAt,
} from "../../../../coordinator/sweep/space.js";

// Any dimension that a sweep may declare, and places in it, by seed.
function madeUp(random: Random): Dimension {
  const low = Math.round(random.normal() * 100) / 10;
  const high = low + 0.1 + Math.round(random.uniform() * 100) / 10;
  const name = "x";
  switch (random.integer(5)) {
    case 0:
      return { kind: "choice", name, values: Array.from({ length: 1 + random.integer(7) }, (_, i) => i / 2) };
    case 1:
      return { kind: "range", name, low: 10 ** -(1 + random.integer(6)), high: 1 + random.uniform(), scale: "log" };
    case 2:
      return {
        kind: "range",
        name,
        low: Math.round(low),
        high: Math.round(low) + 1 + random.integer(9),
        scale: "linear",
        step: 1,
      };
    case 3:
      return { kind: "range", name, low, high, scale: "linear", step: [0.05, 0.1, 0.03][random.integer(3)] ?? 0.1 };
    default:
      return { kind: "range", name, low, high, scale: "linear" };
  }
}

const seeds = Array.from({ length: 20 }, (_, seed) => seed);

test.each(seeds)("values lie in their dimension, and the way back leads to them (seed %i)", (seed) => {
  const random = new Random(seed, "space");
  for (let turn = 0; turn < 200; turn++) {
    const dimension = madeUp(random);
    // A third of the coordinates is outside, where the nearest inside counts.
    const value = valueAt(dimension, random.uniform() * 1.5 - 0.25);
    const again = valueAt(dimension, coordinateOf(dimension, value));
    if (dimension.kind === "choice") {
      expect(dimension.values).toContain(value);
      expect(again).toBe(value);
      continue;
    }
    const { low, high, step } = dimension;
    expect(value).toBeGreaterThanOrEqual(low);
    expect(value).toBeLessThanOrEqual(high);
    if (step === undefined) expect(again).toBeCloseTo(Number(value), 9);
    else {
      expect(again).toBe(value);
      const steps = (Number(value) - low) / step;
      expect(Math.abs(steps - Math.round(steps))).toBeLessThan(1e-6);
    }
  }
});

test("a point's coordinates lead to the same point", () => {
  const random = new Random(1, "points");
  const space = Array.from({ length: 30 }, (_, i) => ({ ...madeUp(random), name: `x${i}` }));
  const once = fromUnit(
    space,
    toUnit(
      space,
      fromUnit(
        space,
        space.map(() => random.uniform()),
      ),
    ),
  );
  expect(toUnit(space, fromUnit(space, toUnit(space, once)))).toEqual(toUnit(space, once));
});

test.each<[string, Dimension, unknown]>([
  ["its author's start", { kind: "range", name: "x", low: 0, high: 1, scale: "linear", start: 0.2 }, 0.2],
  ["the middle of its range", { kind: "range", name: "x", low: 0, high: 3, scale: "linear" }, 1.5],
  ["the middle of the ratios of a log scale", { kind: "range", name: "x", low: 0.01, high: 1, scale: "log" }, 0.1],
  ["the step in the middle", { kind: "range", name: "x", low: 0.1, high: 0.9, scale: "linear", step: 0.1 }, 0.5],
  ["the first choice", { kind: "choice", name: "x", values: ["a", "b"] }, "a"],
])("a dimension starts at %s", (_, dimension, start) => {
  const found = startOf(dimension);
  if (typeof start === "number") expect(found).toBeCloseTo(start, 12);
  else expect(found).toBe(start);
});
