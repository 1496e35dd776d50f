import { expect, test } from "vitest";
import { random } from "../../../../../../coordinator/sweep/search/sampling/random.js";
import { sobol } from "../../../../../../coordinator/sweep/search/sampling/sobol.js";
import { tpe } from "../../../../../../coordinator/sweep/search/sampling/tpe.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { runSearch, unitCube } from "../../../../../support/run-search.js";
import { branin, sphere } from "../../../../../support/search-functions.js";
import { medianBest } from "./median-best.js";

test("on Branin's function TPE comes four times as near in 100 trials as random points", () => {
  const problem = { space: unitCube(2), judge: (_: unknown, unit: readonly number[]) => branin(unit), trials: 100 };
  const byTpe = medianBest(tpe, problem);
  expect(byTpe).toBeLessThan(0.05);
  expect(byTpe).toBeLessThan(medianBest(random, problem) / 4);
});

test("on a sphere of four dimensions it is far ahead of points that fill space", () => {
  const problem = { space: unitCube(4), judge: (_: unknown, unit: readonly number[]) => sphere(unit), trials: 150 };
  expect(medianBest(tpe, problem)).toBeLessThan(medianBest(sobol, problem) / 5);
});

const mixed: Space = [
  { kind: "choice", name: "method", values: ["linear", "ties", "dare", "slerp", "breadcrumbs"] },
  { kind: "range", name: "density", low: 0.1, high: 0.9, scale: "linear", step: 0.1 },
  { kind: "range", name: "epsilon", low: 1e-6, high: 1, scale: "log" },
];

/** Least, 0, at dare, 0.7 and 1e-3. */
function mixedLoss(point: Readonly<Record<string, unknown>>): number {
  const method = ["dare", "ties", "slerp", "linear", "breadcrumbs"].indexOf(String(point["method"]));
  const density = (Number(point["density"]) - 0.7) ** 2;
  return method / 4 + density + (Math.log10(Number(point["epsilon"])) + 3) ** 2 / 9;
}

test("choices, steps and logarithmic ranges are learnt", () => {
  for (const seed of [0, 1, 2, 3, 4]) {
    const { best } = runSearch(tpe, { space: mixed, judge: ({ point }) => mixedLoss(point), trials: 100, seed });
    expect(best.point["method"]).toBe("dare");
    expect(Math.abs(Number(best.point["density"]) - 0.7)).toBeLessThan(0.11);
    expect(Math.abs(Math.log10(Number(best.point["epsilon"])) + 3)).toBeLessThan(0.5);
  }
});

test("trials that run at once are not all alike, and cost little of what is learnt", () => {
  const judge = (_: unknown, unit: readonly number[]): number => sphere(unit);
  const { requests } = runSearch(tpe, { space: unitCube(2), judge, trials: 60, width: 16 });
  const lastSixteen = requests.slice(-16).map(({ point }) => JSON.stringify(point));
  expect(new Set(lastSixteen).size).toBe(16);
  const wide = medianBest(tpe, { space: unitCube(2), judge, trials: 100, width: 16 });
  expect(wide).toBeLessThan(medianBest(sobol, { space: unitCube(2), judge, trials: 100 }));
});

test("constraints come before losses", () => {
  const judge = (_: unknown, unit: readonly number[]) => {
    const [x = 0] = unit;
    return { losses: [sphere(unit)], violation: Math.max(0, 0.6 - x) };
  };
  const { outcomes, best } = runSearch(tpe, { space: unitCube(2), judge, trials: 100 });
  expect(best.violation).toBe(0);
  expect(best.loss).toBeLessThan(0.1);
  const late = outcomes.slice(50);
  expect(late.filter(({ violation }) => violation === 0).length).toBeGreaterThan(late.length / 2);
});

test("failed trials are noted, and the search finds the optimum beside them", () => {
  const judge = (_: unknown, unit: readonly number[]) => ((unit[1] ?? 0) > 0.5 ? "out of memory" : sphere(unit));
  const { notes, best, outcomes } = runSearch(tpe, { space: unitCube(2), judge, trials: 100 });
  expect(best.loss).toBeLessThan(0.005);
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.length).toBeLessThan(40);
  expect(notes).toEqual([
    `Trial ${failed[0]?.trial} failed: places of failed trials are avoided like those under way, and their scores stay unknown`,
  ]);
});

test("the first trial is the start, and a space of which every point was tried ends the search", () => {
  const space: Space = [
    { kind: "choice", name: "method", values: ["ties", "linear", "dare"], start: "linear" },
    { kind: "range", name: "density", low: 0, high: 1, scale: "linear", step: 0.25, start: 0.75 },
  ];
  for (const kind of [tpe, random, sobol]) {
    const { requests, result, outcomes } = runSearch(kind, { space, judge: ({ point }) => Number(point["density"]) });
    expect(outcomes).toHaveLength(15);
    expect(new Set(requests.map(({ point }) => JSON.stringify(point))).size).toBe(15);
    expect(result).toBeUndefined();
    if (kind === tpe) expect(requests[0]?.point).toEqual({ method: "linear", density: 0.75 });
  }
});
