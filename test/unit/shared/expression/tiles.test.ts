import { expect, test } from "vitest";
import { blockOf, divisionOf } from "../../../../shared/expression/division.js";
import { type Expression, Graph } from "../../../../shared/expression/expression.js";
import { type Schedule, schedule } from "../../../../shared/expression/passes.js";
import { tileBytes, workerBytes } from "../../../../shared/expression/tiles.js";

function scheduleOf(build: (x: Expression) => Expression): Schedule {
  const graph = new Graph();
  return schedule(graph.finish(build(graph.input())));
}

const plain = scheduleOf((x) => x.times(2));
const ranking = scheduleOf((x) => x.times(x.rankInRow()));
const columns = scheduleOf((x) => x.minus(x.sumOver("column")));

test.each([
  [[5], { elements: 5, row: 5, columns: 1 }],
  [[3, 7], { elements: 21, row: 7, columns: 7 }],
  [[2, 3, 40], { elements: 240, row: 40, columns: 120 }],
  [[], { elements: 1, row: 1, columns: 1 }],
  [[0, 2 ** 40], { elements: 0, row: 1, columns: 1 }],
])("divisionOf(%j)", (shape, division) => {
  expect(divisionOf(shape)).toEqual(division);
});

test.each([1, 2, 3, 17, 33, 4_096, 5_000, 151_936])(
  "a block of %i columns has whole slices and whole groups of random numbers",
  (count) => {
    const block = blockOf(columns, { row: count, columns: count });
    expect(block % count).toBe(0);
    expect(block % 16).toBe(0);
    expect(block).toBeLessThanOrEqual(Math.max(4_096, 16 * count));
  },
);

test("a block is a row where ranks are, and of one size elsewhere", () => {
  expect(blockOf(ranking, { row: 33, columns: 33 })).toBe(33);
  expect(blockOf(plain, { row: 33, columns: 33 })).toBe(65_536);
});

test("a worker's memory counts the row that is ranked, its ranks and its lists", () => {
  const shape = [4, 1 << 20];
  const more =
    workerBytes(4, shape, ranking) -
    workerBytes(
      4,
      shape,
      scheduleOf((x) => x.times(x.sumOver("row"))),
    );
  expect(more).toBeGreaterThanOrEqual(16 * (1 << 20));
  expect(more).toBeLessThan(17 * (1 << 20));
});

test("a worker's memory counts column sums in f64 and what elements get of them in f32", () => {
  const wide = 1 << 20;
  const bytes = workerBytes(4, [2, wide], columns);
  expect(bytes).toBeGreaterThanOrEqual((4 + 8 + 4) * wide);
  expect(workerBytes(4, [2, wide], plain)).toBeLessThanOrEqual(1.2 * tileBytes);
});
