import { describe, expect, test } from "vitest";
import type { SearchKind } from "../../../../../../coordinator/sweep/search/searching.js";
import { selecting } from "../../../../../../coordinator/sweep/search/selecting/kinds.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { type Problem, runSearch } from "../../../../../support/run-search.js";
import { squaredDistance } from "./made.js";

const models = ["a", "b", "c"];

/** Three weights that every one of these searches accepts, or three models that are in or out. */
function problemFor(kind: SearchKind): Problem {
  const space: Space = models.map((model) =>
    kind.name === "greedy-soup"
      ? { kind: "choice", name: model, values: [0, 1], model }
      : { kind: "range", name: model, low: 0, high: 1, start: 1, scale: "linear", model },
  );
  return {
    space,
    objectives: kind.front ? 3 : 1,
    rungs: kind.rungs ? [10, 30, 90] : [90],
    objectiveTasks: kind.front ? models : models.slice(0, 1),
    experts: new Map(models.map((model) => [model, model])),
    trials: 80,
    judge: (request, unit) => {
      const losses = models.map((_, k) => squaredDistance(unit, [0.2 * k, 0.3, 0.5]) + 0.01 * (request.rung ?? 2));
      const scores = Float64Array.from({ length: 10 }, (_, i) => -(losses[i % 3] ?? 0));
      return { losses: kind.front ? losses : losses.slice(0, 1), examples: new Map([["a", scores]]) };
    },
  };
}

describe.each(selecting)("$name", (kind) => {
  const problem = problemFor(kind);
  const failing = { ...problem, judge: () => "no agent has room" };
  const { requests, result } = runSearch(kind, problem);

  test("takes the same course again", () => {
    expect(requests.length).toBeGreaterThan(3);
    expect(runSearch(kind, problem).requests).toEqual(requests);
  });

  test("takes another course with another seed, if it draws numbers", () => {
    const [one, other] = [0, 1].map((seed) => JSON.stringify(runSearch(kind, { ...failing, seed }).requests));
    const isRandom = !["greedy-soup", "frank-wolfe"].includes(kind.name);
    expect(one !== other).toBe(isRandom);
  });

  test("asks for the same trials where its course is cut short", () => {
    const short = runSearch(kind, { ...problem, trials: 5 });
    expect(short.requests).toEqual(requests.slice(0, short.requests.length));
  });

  test("ends quietly where every trial fails", () => {
    const course = runSearch(kind, failing);
    expect(course.result?.best).toBeUndefined();
    expect(course.notes.join()).toContain("no agent has room");
  });

  test("tells facts that are plain JSON", () => {
    expect(JSON.parse(JSON.stringify(result?.facts ?? {}))).toEqual(result?.facts ?? {});
  });
});

test("names are the field's, and differ", () => {
  expect(selecting.map(({ name }) => name)).toEqual([
    "successive-halving",
    "hyperband",
    "asha",
    "racing",
    "greedy-soup",
    "map",
    "map-nested",
    "map-bayesian",
    "frank-wolfe",
  ]);
});
