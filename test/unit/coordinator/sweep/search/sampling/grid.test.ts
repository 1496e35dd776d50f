import { expect, test } from "vitest";
import { grid } from "../../../../../../coordinator/sweep/search/sampling/grid.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { runSearch, unitCube } from "../../../../../support/run-search.js";

const space: Space = [
  { kind: "range", name: "lambda", low: 0.01, high: 1, scale: "log" },
  { kind: "range", name: "density", low: 0, high: 1, scale: "linear", step: 0.5 },
  { kind: "choice", name: "method", values: ["ties", "linear"] },
];

test("a grid has every combination once: levels of ranges, all steps and choices", () => {
  const { requests, result } = runSearch(grid, { space, judge: () => 0 }, { levels: 3 });
  expect(requests).toHaveLength(3 * 3 * 2);
  const points = requests.map(({ point }) => point);
  expect(points.slice(0, 3)).toEqual([
    { lambda: 0.01, density: 0, method: "ties" },
    { lambda: 0.01, density: 0, method: "linear" },
    { lambda: 0.01, density: 0.5, method: "ties" },
  ]);
  expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(18);
  const lambdas = [...new Set(points.map(({ lambda }) => Number(lambda)))];
  expect(lambdas.map((lambda) => lambda.toFixed(6))).toEqual(["0.010000", "0.100000", "1.000000"]);
  expect(result).toBeUndefined();
});

test.each([1, 3, 100])("a grid is the same whatever the width, here %i", (width) => {
  const { requests } = runSearch(grid, { space: unitCube(2), judge: () => "fails", width });
  expect(requests).toHaveLength(25);
  expect(requests[7]?.point).toEqual({ x0: 0.25, x1: 0.5 });
});

test("a grid with too many points is refused with their number", () => {
  expect(() => runSearch(grid, { space: unitCube(8), judge: () => 0 })).toThrow(
    'The grid has 390,625 points (5 × 5 × 5 × 5 × 5 × … in 8 dimensions), more than 100,000: give fewer levels, longer steps or fewer dimensions, or search by "sobol" or "tpe"',
  );
  expect(() => runSearch(grid, { space: unitCube(300), judge: () => 0 })).toThrow("has 4.9e+209 points");
});
