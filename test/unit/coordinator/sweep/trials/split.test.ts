import { expect, test } from "vitest";
import { defaultRungs, splitExamples } from "../../../../../coordinator/sweep/trials/split.js";

function order(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function sizes(count: number, options: Parameters<typeof splitExamples>[1]): readonly (readonly [unknown, number])[] {
  return splitExamples(order(count), options, "Task").map(({ part, examples }) => [part, examples.length]);
}

test.each([
  { count: 40, holdOut: undefined, rungs: [], parts: [[0, 40]] },
  {
    count: 40,
    holdOut: 0.5,
    rungs: [],
    parts: [
      [0, 20],
      ["held out", 20],
    ],
  },
  {
    count: 40,
    holdOut: 0.01,
    rungs: [],
    parts: [
      [0, 39],
      ["held out", 1],
    ],
  },
  {
    count: 90,
    holdOut: undefined,
    rungs: defaultRungs,
    parts: [
      [0, 10],
      [1, 20],
      [2, 60],
    ],
  },
  {
    count: 100,
    holdOut: 0.1,
    rungs: [30, 0.5],
    parts: [
      [0, 30],
      [1, 15],
      [2, 45],
      ["held out", 10],
    ],
  },
  // Shares that round to nothing have one example each.
  {
    count: 4,
    holdOut: 0.25,
    rungs: [0.01, 0.02],
    parts: [
      [0, 1],
      [1, 1],
      [2, 1],
      ["held out", 1],
    ],
  },
  {
    count: 5,
    holdOut: undefined,
    rungs: [0.9, 0.95],
    parts: [
      [0, 3],
      [1, 1],
      [2, 1],
    ],
  },
])("$count examples, $holdOut held out, in rungs $rungs", ({ count, holdOut, rungs, parts }) => {
  expect(sizes(count, { holdOut, rungs })).toEqual(parts);
});

test("parts share nothing and leave nothing out, whatever the order", () => {
  const shuffled = order(50).toSorted((a, b) => ((a * 7) % 50) - ((b * 7) % 50));
  const parts = splitExamples(shuffled, { holdOut: 0.3, rungs: [5, 0.4] }, "Task");
  expect(parts.flatMap(({ examples }) => examples).toSorted((a, b) => a - b)).toEqual(order(50));
  for (const { examples } of parts) expect(examples).toEqual(examples.toSorted((a, b) => a - b));
});

test("rungs are nested: a higher one begins with all of the lower ones, whatever is held out of the end", () => {
  const [first] = splitExamples(order(60), { holdOut: 0.5, rungs: [10] }, "Task");
  expect(first?.examples).toEqual(order(10));
});

test.each([
  { count: 1, holdOut: 0.5, rungs: [], problem: "1 example, 1 of them held out: none is left to search on" },
  { count: 2, holdOut: 0.5, rungs: [0.5], problem: "2 examples, 1 of them held out: too few for 2 rungs" },
  { count: 30, holdOut: undefined, rungs: [32], problem: "30 examples: a rung of 32 leaves none for those above it" },
])("too few examples are explained: $problem", ({ count, holdOut, rungs, problem }) => {
  expect(() => sizes(count, { holdOut, rungs })).toThrow(`Task has ${problem}`);
});
