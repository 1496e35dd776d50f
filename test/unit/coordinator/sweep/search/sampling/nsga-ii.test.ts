import { expect, test } from "vitest";
import { hypervolume } from "../../../../../../coordinator/sweep/search/hypervolume.js";
import { frontOf } from "../../../../../../coordinator/sweep/search/pareto.js";
import { nsgaII } from "../../../../../../coordinator/sweep/search/sampling/nsga-ii.js";
import { sobol } from "../../../../../../coordinator/sweep/search/sampling/sobol.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { type Judgement, runSearch, unitCube } from "../../../../../support/run-search.js";
import { zdt, zdtLosses } from "../../../../../support/search-functions.js";

test.each(zdt)("the front of %s is found and covered", (_, second, whole) => {
  const judge = (_request: unknown, unit: readonly number[]): readonly number[] => zdtLosses(second, unit);
  const problem = { space: unitCube(6), objectives: 2, judge, trials: 1600 };
  const volume = (kind: typeof nsgaII): number =>
    hypervolume(
      frontOf(runSearch(kind, problem).outcomes).map(({ losses }) => losses),
      [1.1, 1.1],
    );
  expect(volume(nsgaII)).toBeGreaterThan(0.985 * whole);
  expect(volume(nsgaII)).toBeLessThan(whole);
  expect(volume(sobol)).toBeLessThan(0.8 * whole);
});

/** Compromises between x = 0 and x = 1, of which constraints leave those above 1/2. */
function constrained(_: unknown, unit: readonly number[]): Judgement {
  const [x = 0, y = 0] = unit;
  return { losses: [x ** 2 + y, (1 - x) ** 2 + y], violation: Math.max(0, 0.5 - x) };
}

test("a front ends where constraints do", () => {
  const { outcomes } = runSearch(nsgaII, { space: unitCube(2), objectives: 2, judge: constrained, trials: 800 });
  const front = frontOf(outcomes);
  const places = front.map(({ point }) => Number(point["x0"])).toSorted((a, b) => a - b);
  expect(front.every(({ violation }) => violation === 0)).toBe(true);
  expect(places[0]).toBeGreaterThanOrEqual(0.5);
  expect(places[0]).toBeLessThan(0.51);
  expect(places.at(-1)).toBeGreaterThan(0.98);
  expect(Math.max(...places.slice(1).map((x, i) => x - (places[i] ?? 0)))).toBeLessThan(0.06);
});

const mixed: Space = [
  { kind: "choice", name: "method", values: ["ties", "linear", "dare", "slerp"] },
  { kind: "range", name: "layers", low: 0, high: 30, scale: "linear", step: 1 },
  { kind: "range", name: "weight", low: 0, high: 1, scale: "linear" },
];

test("choices and whole numbers: the front is all of dare, with every number of layers", () => {
  const judge = ({ point }: { point: Readonly<Record<string, unknown>> }): Judgement => {
    const extra = (point["method"] === "dare" ? 0 : 5) + 10 * (Number(point["weight"]) - 0.5) ** 2;
    return [Number(point["layers"]) + extra, 30 - Number(point["layers"]) + extra];
  };
  const { outcomes } = runSearch(nsgaII, { space: mixed, objectives: 2, judge, trials: 2000 });
  const front = frontOf(outcomes);
  expect(new Set(front.map(({ point }) => point["method"]))).toEqual(new Set(["dare"]));
  expect(new Set(front.map(({ point }) => point["layers"])).size).toBeGreaterThan(27);
  expect(front.every(({ point }) => Number.isInteger(point["layers"]))).toBe(true);
});

test("points are not proposed twice while there are others", () => {
  const { requests } = runSearch(nsgaII, { space: unitCube(3), objectives: 2, judge: constrained, trials: 400 });
  expect(new Set(requests.map(({ point }) => JSON.stringify(point))).size).toBe(400);
});

test("a small space is searched and ends", () => {
  const space = mixed.slice(0, 1);
  const judge = ({ point }: { point: Readonly<Record<string, unknown>> }): Judgement => {
    return [String(point["method"]).length, -String(point["method"]).length];
  };
  const { outcomes, notes, result } = runSearch(nsgaII, { space, objectives: 2, judge });
  expect(result).toBeUndefined();
  expect(new Set(outcomes.map(({ point }) => point["method"])).size).toBe(4);
  expect(notes.at(-1)).toBe("Ended: 20 generations brought no point that is new");
});

test("where all have failed, other points are tried", () => {
  const { requests } = runSearch(nsgaII, { space: unitCube(2), objectives: 2, judge: () => "no agent", trials: 200 });
  expect(new Set(requests.map(({ point }) => JSON.stringify(point))).size).toBe(200);
});

test("failed trials leave no children, and are noted", () => {
  let trial = 0;
  const judge = (_: unknown, unit: readonly number[]): Judgement => (++trial <= 41 ? "no agent" : constrained(_, unit));
  const { notes, outcomes } = runSearch(nsgaII, { space: unitCube(2), objectives: 2, judge, trials: 400 });
  expect(notes[0]).toMatch(/^\d+ of \d+ trials failed and were left out of the population; the first, trial 1:/);
  expect(frontOf(outcomes).length).toBeGreaterThan(30);
});
