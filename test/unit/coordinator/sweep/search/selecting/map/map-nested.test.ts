import { describe, expect, test } from "vitest";
import { mapNested } from "../../../../../../../coordinator/sweep/search/selecting/map/map-nested.js";
import { leavesOf, refusesTree } from "../../../../../../../coordinator/sweep/search/selecting/map/merge-tree.js";
import type { Space } from "../../../../../../../coordinator/sweep/space.js";
import { runSearch } from "../../../../../../support/run-search.js";

const models = ["a", "b", "c", "d"];
const space: Space = models.map((model) => ({
  kind: "range",
  name: `${model} weight`,
  low: 0,
  high: 1.5,
  scale: "linear",
  model,
}));
const experts = new Map(models.map((model) => [`task of ${model}`, model]));
const problem = { space, experts, objectives: 4, objectiveTasks: [...experts.keys()], rungs: [1] };

/** Task k wants its own model at 1 and, a tenth as much, the others at 0. */
function lossesAt(weights: readonly number[]): number[] {
  return weights.map((_, k) =>
    weights.reduce((sum, weight, j) => sum + (j === k ? (weight - 1) ** 2 : 0.1 * weight ** 2), 0),
  );
}

/** Of a model unmerged: a and d are about equally good, as b and c are. */
const unmerged: Readonly<Record<string, number>> = { a: 0.3, b: 0.5, c: 0.505, d: 0.32 };

describe("map-nested", () => {
  const course = runSearch(
    mapNested,
    {
      ...problem,
      judge: ({ reference }, unit) =>
        reference === undefined ? lossesAt(unit.map((u) => 1.5 * u)) : models.map(() => unmerged[reference] ?? 0),
    },
    { link: "identity" },
  );

  test("pairs those first that do their own tasks equally well", () => {
    const { pairs, last } = (course.result?.facts ?? {}) as {
      pairs: { models: string[]; scales: number[] }[];
      last: string[];
    };
    expect(pairs.map((pair) => pair.models)).toEqual([
      ["b", "c"],
      ["a", "d"],
    ]);
    expect(last).toEqual(["b + c", "a + d"]);
    // Of (w − 1)² + .1 w² for each of the two, whose range is 1.5.
    for (const scale of pairs.flatMap(({ scales }) => scales)) expect(scale).toBeCloseTo(1 / 1.1 / 1.5, 2);
  });

  test("reaches the best sum of all tasks in 20 trials for each of n − 1 pairs", () => {
    // Σ (w − 1)² + .3 w² has its least at 1 / 1.3.
    const least = 4 * ((1 / 1.3 - 1) ** 2 + 0.3 / 1.3 ** 2);
    const sums = course.outcomes.slice(4).map(({ losses }) => losses.reduce((sum, loss) => sum + loss, 0));
    expect(Math.min(...sums)).toBeLessThan(1.01 * least);
    expect(course.outcomes.length).toBe(4 + 3 * 20 + 2 + 16);
    expect(course.requests.slice(0, 4).map(({ reference }) => reference)).toEqual(models);
  });

  test("recommends compromises of all objectives", () => {
    expect(course.result?.front?.length).toBeGreaterThan(10);
  });
});

test("objectives belong to models by their tasks, in whatever order these are", () => {
  const objectiveTasks = models.toReversed().map((model) => `task of ${model}`);
  expect(leavesOf({ ...problem, objectiveTasks }).map(({ name, objectives }) => [name, objectives])).toEqual([
    ["a", [3]],
    ["b", [2]],
    ["c", [1]],
    ["d", [0]],
  ]);
});

test.each<
  [
    string,
    Partial<Omit<typeof problem, "objectiveTasks">> & { objectiveTasks?: readonly (string | undefined)[] },
    RegExp,
  ]
>([
  [
    "an objective of several tasks",
    { objectiveTasks: ["task of a", "task of b", "task of c", undefined] },
    /"d" has no objective/,
  ],
  ["a task without expert", { experts: new Map([["task of a", "a"]]) }, /"b" has no objective/],
  ["a single model", { space: space.slice(0, 1) }, /pairs, and this recipe has 1/],
  [
    "a parameter of the method",
    { space: [...space, { kind: "range", name: "lambda", low: 0, high: 1, scale: "linear" }] },
    /"lambda" is something else/,
  ],
  [
    "two weights of a model",
    { space: [...space, { kind: "range", name: "a weight 2", model: "a", low: 0, high: 1, scale: "linear" }] },
    /"a" has several/,
  ],
  ["a model that cannot be left out", { space: space.map((one) => ({ ...one, low: 0.1 })) as Space }, /0.1 to 1.5/],
])("refuses %s", (_, change, told) => {
  expect(refusesTree({ ...problem, ...change })).toMatch(told);
});
