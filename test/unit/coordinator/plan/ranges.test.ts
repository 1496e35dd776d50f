import { expect, test } from "vitest";
import { missingRanges } from "../../../../coordinator/plan/ranges.js";

test("missingRanges() gives the gaps between ranges", () => {
  const whole = { begin: 0, end: 10 };
  expect(missingRanges([], whole)).toEqual([whole]);
  expect(missingRanges([whole], whole)).toEqual([]);
  const ranges = [
    { begin: 2, end: 3 },
    { begin: 3, end: 5 },
    { begin: 8, end: 12 },
  ];
  expect(missingRanges(ranges, whole)).toEqual([
    { begin: 0, end: 2 },
    { begin: 5, end: 8 },
  ]);
  expect(missingRanges([{ begin: 0, end: 0 }], { begin: 0, end: 0 })).toEqual([]);
});
