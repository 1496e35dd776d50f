import { expect, test } from "vitest";
import { crossEntropy } from "../../../../../../coordinator/sweep/losses/cross-entropy.js";
import { entropy } from "../../../../../../coordinator/sweep/losses/entropy.js";
import { boxOf } from "../../../../../../coordinator/sweep/search/learning/box.js";
import {
  columnOf,
  derivativeOf,
  derivativeWeights,
  placeOf,
  probesAt,
} from "../../../../../../coordinator/sweep/search/learning/finite-differences.js";
import { tangentOf } from "../../../../../../coordinator/sweep/search/learning/tangent.js";
import { type Toy, toyNetwork } from "./toy-network.js";

const box = { low: Float64Array.of(0, 0, 0, 2, 0), high: Float64Array.of(1, 1, 1, 2, 0.1) };

test("probesAt() looks to both sides, inwards at the ends, never outside, and not at all where nothing can vary", () => {
  const x = Float64Array.of(0.5, 0, 1, 2, 0.06);
  const probes = probesAt(box, x, 0.05);
  expect(probes.map(({ dimension }) => dimension)).toEqual([0, 1, 2, 4]);
  expect(probes.map(({ steps }) => steps)).toEqual([
    [-0.05, 0.05],
    [0.05, 0.1],
    [-0.05, -0.1],
    [-0.025, 0.025],
  ]);
  for (const { dimension, steps } of probes) {
    for (const step of steps) {
      const place = placeOf(x, dimension, step)[dimension] ?? Number.NaN;
      expect(place).toBeGreaterThanOrEqual(box.low[dimension] ?? 0);
      expect(place).toBeLessThanOrEqual(box.high[dimension] ?? 0);
    }
  }
});

test.each([
  ["both sides", [-0.05, 0.05]],
  ["inwards from the lower end", [0.05, 0.1]],
  ["inwards from the upper end", [-0.05, -0.1]],
] as const)("the slope of a parabola is exact from %s", (_, steps) => {
  const parabola = (x: number): number => 3 * x ** 2 - 2 * x + 7;
  const weights = derivativeWeights({ dimension: 0, steps }, [true, true]) ?? [0, 0, 0];
  const [first, second] = steps.map((step) => parabola(0.4 + step));
  expect(derivativeOf(weights, parabola(0.4), first ?? 0, second ?? 0)).toBeCloseTo(6 * 0.4 - 2, 10);
});

test("with one of two trials the slope is that of a straight line, with none there is no slope", () => {
  const probe = { dimension: 0, steps: [-0.05, 0.05] } as const;
  const line = (x: number): number => 2 - 5 * x;
  const left = derivativeWeights(probe, [true, false]) ?? [0, 0, 0];
  expect(derivativeOf(left, line(1), line(0.95), Number.NaN)).toBeCloseTo(-5, 10);
  const right = derivativeWeights(probe, [false, true]) ?? [0, 0, 0];
  expect(derivativeOf(right, line(1), Number.NaN, line(1.05))).toBeCloseTo(-5, 10);
  expect(derivativeWeights(probe, [false, false])).toBeUndefined();
});

/** The gradient from forward passes alone: what the model answers beside x, and the loss's own slope. */
function forwardGradient(toy: Toy, loss: typeof entropy, x: Float64Array, epsilon: number): Float64Array {
  const center = toy.answers([...x]);
  const probes = probesAt(boxOf(toy.space), x, epsilon).map((probe) => ({
    weights: derivativeWeights(probe, [true, true]) ?? ([0, 0, 0] as const),
    sides: probe.steps.map((step) => toy.answers([...placeOf(x, probe.dimension, step)])),
  }));
  const tasks = [...center].map(([task, answers]) => ({
    ...{ weight: 1 / center.size, answers },
    columns: probes.map(({ weights, sides }) =>
      columnOf(weights, answers.values, sides[0]?.get(task)?.values, sides[1]?.get(task)?.values),
    ),
  }));
  return tangentOf(loss, tasks, x).gradient(x);
}

test.each([
  [entropy.name, entropy, "task-wise", [0.3, 0.6, 0.2]],
  [crossEntropy.name, crossEntropy, "task-wise", [0.3, 0.6, 0.2]],
  [entropy.name, entropy, "group-wise, some at the ends", [0, 0.6, 0.2, 1.5, 0.4, 0.1]],
  [crossEntropy.name, crossEntropy, "group-wise, some at the ends", [0, 0.6, 0.2, 1.5, 0.4, 0.1]],
] as const)("the gradient of %s by forward passes is that by the chain rule, $2", (_name, loss, _how, place) => {
  const toy = toyNetwork(3, { groups: place.length === 6 });
  const exact = toy.gradient(loss, place);
  const found = forwardGradient(toy, loss, Float64Array.from(place), 0.01);
  const size = Math.hypot(...exact);
  expect(size).toBeGreaterThan(0.1);
  expect(Math.hypot(...exact.map((value, i) => value - (found[i] ?? 0)))).toBeLessThan(0.005 * size);
});
