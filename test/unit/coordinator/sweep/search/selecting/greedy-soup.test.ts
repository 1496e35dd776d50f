import { describe, expect, test } from "vitest";
import type { OptionValues } from "../../../../../../coordinator/sweep/search/searching.js";
import { greedySoup } from "../../../../../../coordinator/sweep/search/selecting/greedy-soup.js";
import type { Point, Space } from "../../../../../../coordinator/sweep/space.js";
import { type Judgement, runSearch } from "../../../../../support/run-search.js";

const space: Space = ["a", "b", "c", "d"].map((name) => ({ kind: "choice", name, values: [0, 1] }));
const options: OptionValues = {};

/** The losses of soups, by their ingredients. */
function cook(losses: Readonly<Record<string, Judgement>>) {
  return runSearch(
    greedySoup,
    { space, judge: ({ point }) => losses[ingredientsOf(point)] ?? "not on the menu" },
    options,
  );
}

function ingredientsOf(point: Point): string {
  return Object.entries(point)
    .filter(([, value]) => value === 1)
    .map(([name]) => name)
    .join("");
}

describe("greedy-soup", () => {
  test("tries models from the best to the worst, keeps those that do no harm, ties included", () => {
    // In the order c, a, d, b: a helps, d leaves it as it is, b is the harmful one.
    const course = cook({ a: 0.3, b: 0.6, c: 0.2, d: 0.4, ac: 0.15, acd: 0.15, abcd: 0.3 });
    expect(course.requests.map(({ point }) => ingredientsOf(point))).toEqual(["a", "b", "c", "d", "ac", "acd", "abcd"]);
    expect(course.result?.facts).toEqual({
      order: ["c", "a", "d", "b"],
      accepted: ["c", "a", "d"],
      course: [
        { model: "c", accepted: true, loss: 0.2 },
        { model: "a", accepted: true, loss: 0.15 },
        { model: "d", accepted: true, loss: 0.15 },
        { model: "b", accepted: false, loss: 0.3 },
      ],
    });
    expect(course.result?.best).toEqual({ a: 1, b: 0, c: 1, d: 1 });
  });

  test("skips a harmful model and goes on with the next", () => {
    const course = cook({ a: 0.1, b: 0.2, c: 0.3, d: 0.4, ab: 0.5, ac: 0.05, acd: 0.04 });
    expect(course.result?.facts).toMatchObject({ accepted: ["a", "c", "d"] });
  });

  test("equally good models keep the order of the recipe", () => {
    const course = cook({ a: 0.2, b: 0.2, c: 0.2, d: 0.2 });
    expect(course.result?.facts).toMatchObject({ order: ["a", "b", "c", "d"], accepted: ["a"] });
  });

  test("leaves out models whose trials fail, and says so", () => {
    const course = cook({ a: 0.1, b: "no such file", c: 0.3, d: 0.4, ac: "out of memory", ad: 0.1 });
    expect(course.result?.best).toEqual({ a: 1, b: 0, c: 0, d: 1 });
    expect(course.notes).toEqual([
      "1 of 4 trials failed and were left out of the soup; the first, trial 2: no such file",
      "1 of 1 trials failed and so c was left out of the soup; the first, trial 5: out of memory",
    ]);
    expect(course.result?.facts).toMatchObject({ course: [{}, { model: "c", accepted: false, loss: null }, {}] });
  });

  test("a soup that violates a constraint less is better", () => {
    const course = cook({
      a: { losses: [0.1], violation: 0.2 },
      b: { losses: [0.4] },
      c: { losses: [0.9], violation: 0.5 },
      d: { losses: [0.9], violation: 0.6 },
      ab: { losses: [0.3], violation: 0.1 },
    });
    expect(course.result?.best).toEqual({ a: 0, b: 1, c: 0, d: 0 });
  });

  test.each<[Space[number]]>([
    [{ kind: "range", name: "weight", low: 0, high: 1, scale: "linear" }],
    [{ kind: "choice", name: "weight", values: [0, 0.5, 1] }],
  ])("refuses what is neither in nor out: $kind", (dimension) => {
    const told = greedySoup.refuses?.(
      { space: [...space, dimension], objectives: 1, rungs: [1], experts: new Map() },
      {},
    );
    expect(told).toMatch(/"weight" is something else: write \{choices: \[0, 1\]\}/);
  });
});
