import { expect, test } from "vitest";
import { countRows, SegmentBuilder } from "../../../../coordinator/tokenizer/segments.js";

function build(rows: readonly (readonly (readonly [model: number, row: number])[])[], padding = 0) {
  const builder = new SegmentBuilder();
  for (const row of rows) builder.add(row.map(([model, from]) => ({ model, row: from })));
  return builder.finish(padding);
}

test("neighbours become one run", () => {
  expect(build([[[0, 0]], [[0, 1]], [[0, 2]], [[1, 3]], [[1, 5]], [], [], [[1, 6]]])).toEqual([
    { kind: "run", count: 3, model: 0, row: 0 },
    { kind: "run", count: 1, model: 1, row: 3 },
    { kind: "run", count: 1, model: 1, row: 5 },
    { kind: "zero", count: 2 },
    { kind: "run", count: 1, model: 1, row: 6 },
  ]);
});

test("several rows count in equal parts", () => {
  const [half] = build([
    [
      [0, 4],
      [2, 7],
    ],
  ]);
  expect(half).toEqual({
    kind: "combination",
    count: 1,
    terms: [
      { model: 0, row: 4, rows: 1, weight: 0.5 },
      { model: 2, row: 7, rows: 1, weight: 0.5 },
    ],
  });
});

test("padding is the mean of all rows, in as few terms as there can be", () => {
  const segments = build([[[0, 2]], [[0, 0]], [[0, 1]], [[1, 0]], [], [], [], [[0, 3]]], 4);
  expect(segments.at(-1)).toEqual({
    kind: "combination",
    count: 4,
    terms: [
      { model: 0, row: 0, rows: 4, weight: 1 / 8 },
      { model: 1, row: 0, rows: 1, weight: 1 / 8 },
    ],
  });
  expect(countRows(segments)).toBe(12);
});

test("no rows are no segments", () => {
  expect(build([])).toEqual([]);
});
