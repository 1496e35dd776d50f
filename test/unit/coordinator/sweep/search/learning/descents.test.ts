import { describe, expect, test } from "vitest";
import { gainsOf } from "../../../../../../coordinator/sweep/search/learning/descend-by-spsa.js";
import { gradient } from "../../../../../../coordinator/sweep/search/learning/gradient.js";
import { spsa } from "../../../../../../coordinator/sweep/search/learning/spsa.js";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { type Problem, runSearch, unitCube } from "../../../../../support/run-search.js";

/** Squares of distances from places between 0.3 and 0.7, curved differently along each coordinate. */
function bowl(dimensions: number): Problem {
  const minimum = unitCube(dimensions).map((_, i) => 0.3 + (0.4 * i) / Math.max(1, dimensions - 1));
  const judge = (_: unknown, unit: readonly number[]): number =>
    unit.reduce((sum, value, i) => sum + (1 + (i % 3)) * (value - (minimum[i] ?? 0)) ** 2, 0);
  // From a corner, so that there is a way to go.
  const space = unitCube(dimensions).map((dimension) => ({ ...dimension, start: 0 }));
  return { space, judge };
}

test("SPSA comes close to the minimum of 20 coordinates with trials that all coordinates share, for any seed", () => {
  for (const seed of [1, 2, 3]) {
    const problem = bowl(20);
    const course = runSearch(spsa, { ...problem, seed });
    const first = Number(problem.judge({ point: {} }, new Array<number>(20).fill(0)));
    expect(course.outcomes.at(-1)?.loss).toBeLessThan(0.01 * first);
    expect(course.outcomes).toHaveLength(100 * 4 * 2 + 1);
  }
});

test("SPSA goes down through noise as large as what it measures", () => {
  const problem = bowl(5);
  const noise = new Random(9, "noise");
  const judge: Problem["judge"] = (request, unit) => Number(problem.judge(request, unit)) + 0.05 * noise.normal();
  const course = runSearch(spsa, { ...problem, judge }, { rounds: 300, draws: 4 });
  const end = course.requests.at(-1)?.point ?? {};
  const truth = Number(problem.judge({ point: end }, Object.values(end).map(Number)));
  expect(truth).toBeLessThan(0.1 * Number(problem.judge({ point: {} }, [0, 0, 0, 0, 0])));
});

test("SPSA's gains fall as Spall has them", () => {
  const first = { a: 2, c: 0.1 };
  expect(gainsOf(0, 100, first).a).toBeCloseTo(2 / 11 ** 0.602, 12);
  expect(gainsOf(0, 100, first).c).toBe(0.1);
  expect(gainsOf(99, 100, first).a).toBeCloseTo(2 / 110 ** 0.602, 12);
  expect(gainsOf(99, 100, first).c).toBeCloseTo(0.1 / 100 ** 0.101, 12);
});

test("slopes by central differences and Adam come to the minimum of a bowl", () => {
  const course = runSearch(gradient, bowl(4), { rate: 0.05 });
  expect(course.best.loss).toBeLessThan(1e-4);
  expect(course.outcomes).toHaveLength(100 * (1 + 2 * 4) + 1);
});

describe.each([spsa, gradient])("$name", (kind) => {
  test("stays in the ranges, in which it ends at a wall where the best is beyond", () => {
    const space: Space = [
      { kind: "range", name: "a", low: -2, high: 6, scale: "linear", start: 5 },
      { kind: "range", name: "b", low: 0.001, high: 10, scale: "log", start: 0.01 },
    ];
    const judge: Problem["judge"] = ({ point }) => Number(point["a"]) + Math.log(Number(point["b"]) / 10) ** 2 / 10;
    const course = runSearch(kind, { space, judge }, { rounds: 100, rate: 0.05 });
    for (const { point } of course.requests) {
      expect(Number(point["a"])).toBeGreaterThanOrEqual(-2);
      expect(Number(point["b"])).toBeLessThanOrEqual(10 * (1 + 1e-12));
    }
    expect(Number(course.best.point["a"])).toBeCloseTo(-2, 0);
    expect(Number(course.best.point["b"])).toBeGreaterThan(5);
  });

  test("leaves out trials that fail, says so, and still goes down", () => {
    const problem = bowl(3);
    let trials = 0;
    const judge: Problem["judge"] = (request, unit) => {
      trials += 1;
      return trials % 9 === 5 ? "agent lost" : problem.judge(request, unit);
    };
    const course = runSearch(kind, { ...problem, judge }, { rounds: 60, rate: 0.05 });
    expect(course.notes.length).toBeGreaterThan(0);
    expect(course.notes.every((note) => /fail|lost/.test(note))).toBe(true);
    expect(course.best.loss).toBeLessThan(0.1);
  });

  test("ends, and does not loop, when all trials fail", () => {
    const course = runSearch(kind, { ...bowl(2), judge: () => "no agent" }, { rounds: 10 });
    expect(course.notes.length).toBeGreaterThan(0);
    expect(course.outcomes.length).toBeLessThan(100);
  });

  test("pays for violated constraints", () => {
    const problem = bowl(2);
    const judge: Problem["judge"] = (request, unit) => {
      return { losses: [Number(problem.judge(request, unit))], violation: 10 * Math.max(0, (unit[0] ?? 0) - 0.15) };
    };
    const course = runSearch(kind, { ...problem, judge }, { rounds: 200, rate: 0.02 });
    expect(Number(course.requests.at(-1)?.point["x0"])).toBeLessThan(0.25);
  });

  test("takes the same course again, and a course that was cut off is its beginning", () => {
    const whole = runSearch(kind, { ...bowl(3), seed: 3 }, { rounds: 20 });
    expect(runSearch(kind, { ...bowl(3), seed: 3 }, { rounds: 20 }).requests).toEqual(whole.requests);
    const cut = runSearch(kind, { ...bowl(3), seed: 3, trials: 50 }, { rounds: 20 });
    expect(cut.requests).toEqual(whole.requests.slice(0, cut.requests.length));
    expect(cut.requests.length).toBeGreaterThan(30);
  });
});
