import { expect, test } from "vitest";
import { Extents } from "../../../../node-agent/files/extents.js";

test("extents that overlap or touch are one, whatever their order, and files are kept apart", () => {
  const extents = new Extents([
    { file: 1, begin: 500, end: 600 },
    { file: 0, begin: 100, end: 200 },
    { file: 0, begin: 0, end: 100 },
    { file: 0, begin: 300, end: 500 },
    { file: 0, begin: 350, end: 400 },
  ]);
  const ends = [0, 99, 100, 199, 200, 299, 300, 399, 450, 500].map((position) => extents.endAt(0, position));
  expect(ends).toEqual([200, 200, 200, 200, undefined, undefined, 500, 500, 500, undefined]);
  expect(extents.endAt(1, 499)).toBeUndefined();
  expect(extents.endAt(1, 500)).toBe(600);
  expect(extents.endAt(2, 0)).toBeUndefined();
});
