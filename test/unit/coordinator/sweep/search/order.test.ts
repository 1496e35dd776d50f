import { expect, test } from "vitest";
import { compareOutcomes, isUsable } from "../../../../../coordinator/sweep/search/order.js";
import { outcome } from "./outcomes.js";

test("outcomes go from feasible over less and less feasible to failed, and equal ones keep their order", () => {
  const failed = outcome(9, { failure: "an agent died" });
  const best = outcome(1, { losses: [0.1] });
  const tie = outcome(2, { losses: [0.1] });
  const worse = outcome(3, { losses: [0.2] });
  const nearlyFeasible = outcome(4, { losses: [0], violation: 0.01 });
  const infeasible = outcome(5, { losses: [-1], violation: 0.5 });
  const sorted = [failed, infeasible, worse, best, nearlyFeasible, tie].toSorted(compareOutcomes);
  expect(sorted.map(({ trial }) => trial)).toEqual([1, 2, 3, 4, 5, 9]);
});

test("between outcomes that violate constraints as much, the earlier stays first, whatever the losses", () => {
  const [a, b] = [outcome(1, { losses: [5], violation: 1 }), outcome(2, { losses: [1], violation: 1 })];
  expect([a, b].toSorted(compareOutcomes)).toEqual([a, b]);
});

test("an outcome is usable if it has all its losses", () => {
  expect(isUsable(outcome(1, { losses: [1, 2] }))).toBe(true);
  expect(isUsable(outcome(1, { losses: [1, Number.NaN] }))).toBe(false);
  expect(isUsable(outcome(1, { losses: [1, 2], failure: "out of memory" }))).toBe(false);
  expect(isUsable(outcome(1, { losses: [Number.POSITIVE_INFINITY] }))).toBe(true);
});
