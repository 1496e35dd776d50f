import { describe, expect, test } from "vitest";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import { cmaEs, sepCmaEs } from "../../../../../../coordinator/sweep/search/sampling/cma-es.js";
import {
  CovarianceAdaptation,
  defaultPopulation,
  ratesOf,
} from "../../../../../../coordinator/sweep/search/sampling/covariance-adaptation.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { type Judgement, runSearch, unitCube } from "../../../../../support/run-search.js";
import { ellipsoid, type Loss, rosenbrock, rotated, sphere } from "../../../../../support/search-functions.js";
import { medianBest } from "./median-best.js";

function problem(loss: Loss, dimensions: number, trials: number) {
  return { space: unitCube(dimensions), judge: (_: unknown, unit: readonly number[]) => loss(unit), trials };
}

test("rates are those of the tutorial, worked out by hand", () => {
  expect([1, 2, 8, 30].map(defaultPopulation)).toEqual([4, 6, 10, 14]);
  const { weights, negativeWeights, muEff, cSigma, dSigma, cC, c1, cMu, chi } = ratesOf(8, 10, false);
  expect(muEff).toBeCloseTo(3.1673, 4);
  expect(cSigma).toBeCloseTo(0.319614, 5);
  expect(dSigma).toBeCloseTo(1.319614, 5);
  expect(cC).toBeCloseTo((4 + muEff / 8) / (12 + muEff / 4), 12);
  expect(c1).toBeCloseTo(0.022286, 4);
  expect(cMu).toBeCloseTo(0.028788, 4);
  expect(chi).toBeCloseTo(Math.sqrt(8) * (1 - 1 / 32 + 1 / 1344), 12);
  // CMAEvolutionStrategy(8 * [0], 1).sp.weights of pycma 4.5.0; it scales those below 0 by other rates.
  expect(weights.map((weight) => weight.toFixed(4))).toEqual(["0.4563", "0.2708", "0.1622", "0.0852", "0.0255"]);
  const theirs = [0.0807418, 0.2237853, 0.3476952, 0.4569915, 0.5547604];
  const scale = (negativeWeights[4] ?? 0) / 0.5547604;
  for (const [i, weight] of negativeWeights.entries()) expect(weight).toBeCloseTo(scale * (theirs[i] ?? 0), 6);
  expect(negativeWeights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(-(1 + c1 / cMu), 12);
});

test.each([2, 3, 4, 50])("the smallest and large populations have rates that are numbers, here of %i", (lambda) => {
  for (const separable of [false, true]) {
    const { weights, negativeWeights, c1, cMu, ...rest } = ratesOf(3, lambda, separable);
    expect(weights.length + negativeWeights.length).toBe(lambda);
    expect([...weights, ...negativeWeights, ...Object.values(rest)].every(Number.isFinite)).toBe(true);
    expect(c1 + cMu).toBeLessThanOrEqual(1);
  }
});

// What a plain implementation of the same formulas needs, as a bound.
test.each([
  [2, 1e3, 100, 0.13],
  [2, 1e3, 500, 1e-10],
  [8, 1e3, 500, 1],
  [8, 1e3, 2200, 1e-11],
])("on an ellipsoid of %i dimensions and condition %f, %i trials come below %f", (n, condition, trials, bound) => {
  expect(medianBest(cmaEs, problem(ellipsoid(condition), n, trials))).toBeLessThan(bound);
});

test("turning the axes changes nothing for CMA-ES, and is too much for its separable variant", () => {
  const straight = problem(ellipsoid(1e4), 5, 1200);
  const turned = problem(rotated(ellipsoid(1e4), 5), 5, 1200);
  const [ofStraight, ofTurned] = [medianBest(cmaEs, straight), medianBest(cmaEs, turned)];
  expect(ofTurned).toBeLessThan(1e-6);
  expect(Math.abs(Math.log10(ofTurned / ofStraight))).toBeLessThan(3);
  expect(medianBest(sepCmaEs, straight)).toBeLessThan(ofStraight * 10);
  expect(medianBest(sepCmaEs, turned)).toBeGreaterThan(1e3 * ofTurned);
});

test("a bent valley is followed", () => {
  expect(medianBest(cmaEs, problem(rosenbrock, 4, 2500))).toBeLessThan(1e-8);
});

test("an optimum in a corner is reached, by points inside only", () => {
  const corner: Loss = (unit) => unit.reduce((sum, x, i) => sum + (i % 2 === 0 ? x : 1 - x), 0);
  const { best, requests } = runSearch(cmaEs, problem(corner, 6, 400));
  expect(best.loss).toBe(0);
  expect(requests.every(({ point }) => Object.values(point).every((x) => Number(x) >= 0 && Number(x) <= 1))).toBe(true);
});

test("beyond a bound the distribution does not drift away", () => {
  const outside: Loss = ([x = 0, y = 0]) => (x + 0.3) ** 2 + (y - 0.4) ** 2;
  expect(medianBest(cmaEs, problem(outside, 2, 400))).toBeLessThan(0.09 + 1e-6);
});

const mixed: Space = [
  { kind: "range", name: "layers", low: 0, high: 20, scale: "linear", step: 1 },
  { kind: "choice", name: "method", values: ["ties", "linear", "dare"], start: "ties" },
  { kind: "range", name: "weight", low: 0, high: 1, scale: "linear" },
];

test("whole numbers and choices are searched together with numbers", () => {
  const judge = ({ point }: { point: Readonly<Record<string, unknown>> }): number =>
    (Number(point["layers"]) - 7) ** 2 / 10 +
    (point["method"] === "dare" ? 0 : 1) +
    (Number(point["weight"]) - 0.2) ** 2;
  expect(medianBest(cmaEs, { space: mixed, judge, trials: 600 })).toBeLessThan(1e-4);
});

test("a small space that has been searched ends it, though it restarts", () => {
  const space: Space = [{ kind: "choice", name: "method", values: ["ties", "linear", "dare"] }];
  const judge = ({ point }: { point: Readonly<Record<string, unknown>> }): number => String(point["method"]).length;
  const { outcomes, notes } = runSearch(cmaEs, { space, judge });
  expect(new Set(outcomes.map(({ point }) => point["method"])).size).toBe(3);
  expect(outcomes.length).toBeLessThan(9000);
  expect(notes.at(-1)).toBe("Ended: 20 generations brought no point that is new");
});

test("when it has converged it starts elsewhere with twice the population, or ends", () => {
  const tolerance = { tolerance: 1e-3 };
  const { notes, requests } = runSearch(cmaEs, problem(sphere, 2, 600), tolerance);
  expect(notes[0]).toMatch(/^Restarted after generation \d+: it varies coordinates by less than 0.001$/);
  const sizes = new Map<string, number>();
  for (const { label = "" } of requests) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  expect(sizes.get("generation 1")).toBe(6);
  expect([...sizes.values()]).toContain(12);
  const once = runSearch(cmaEs, problem(sphere, 2, 600), { ...tolerance, restart: false });
  expect(once.outcomes.length).toBeLessThan(600);
  expect(once.best.loss).toBeLessThan(1e-5);
});

describe("outcomes that are no numbers", () => {
  test("trials that fail are told, and cost little", () => {
    const random = new Random(0, "failures");
    const judge = (_: unknown, unit: readonly number[]): Judgement =>
      random.uniform() < 0.2 ? "an agent died" : sphere(unit);
    const { best, notes } = runSearch(cmaEs, { space: unitCube(3), judge, trials: 500 });
    expect(best.loss).toBeLessThan(1e-6);
    expect(notes[0]).toMatch(/^\d+ of \d+ trials failed and are ranked last; the first, trial \d+:/);
  });

  test("a generation that fails as a whole changes nothing", () => {
    let trial = 0;
    const judge = (_: unknown, unit: readonly number[]): Judgement => (trial++ < 14 ? "no" : sphere(unit));
    const { best } = runSearch(cmaEs, { space: unitCube(3), judge, trials: 400 });
    expect(best.loss).toBeLessThan(1e-6);
  });
});

test("constraints are met before losses are lowered", () => {
  const judge = (_: unknown, unit: readonly number[]): Judgement => {
    const [x = 0, y = 0] = unit;
    return { losses: [sphere(unit)], violation: Math.max(0, 1.2 - x - y) };
  };
  const { best } = runSearch(cmaEs, { space: unitCube(2), judge, trials: 400 });
  expect(best.violation).toBe(0);
  // Nearest to (0.3, 0.3) on x + y = 1.2.
  expect(best.loss).toBeLessThan(0.18 * 1.01);
});

test("noise of a tenth of the sphere's value at the start is averaged out", () => {
  const noise = new Random(7, "noise");
  const judge = (_: unknown, unit: readonly number[]): number => sphere(unit) + 0.01 * noise.normal();
  const { requests } = runSearch(cmaEs, { space: unitCube(4), judge, trials: 800 }, { mean: true, population: 20 });
  const means = requests.filter(({ label }) => label?.endsWith(", mean"));
  expect(means).toHaveLength(38);
  expect(sphere(Object.values(means.at(-1)?.point ?? {}).map(Number))).toBeLessThan(0.01);
});

test("the sample covariance is that of the strategy", () => {
  const strategy = new CovarianceAdaptation([0.5, 0.5], 0.1, 6, false);
  const random = new Random(0, "samples");
  strategy.update([Float64Array.of(0.7, 0.7), Float64Array.of(0.6, 0.6), Float64Array.of(0.3, 0.3)]);
  const samples = Array.from({ length: 20_000 }, () => strategy.sample(random));
  const offset = (x: Float64Array, i: number): number => (x[i] ?? 0) - (strategy.mean[i] ?? 0);
  const covariance = (i: number, j: number): number =>
    samples.reduce((sum, x) => sum + offset(x, i) * offset(x, j), 0) / samples.length;
  const [sx = 0, sy = 0] = strategy.deviations();
  expect(covariance(0, 0) / sx ** 2).toBeCloseTo(1, 1);
  expect(covariance(1, 1) / sy ** 2).toBeCloseTo(1, 1);
  expect(covariance(0, 1) / (sx * sy)).toBeGreaterThan(0.1);
});

test("more dimensions than a covariance matrix is for are refused", () => {
  expect(() => runSearch(cmaEs, problem(sphere, 501, 10))).toThrow(
    'It learns how any two dimensions go together, for at most 500 of them, and there are 501: use "sep-cma-es"',
  );
  expect(runSearch(sepCmaEs, problem(sphere, 501, 100)).outcomes.length).toBeGreaterThan(80);
});
