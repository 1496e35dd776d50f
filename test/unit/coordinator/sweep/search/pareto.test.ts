import { expect, test } from "vitest";
import {
  crowdingDistance,
  dominates,
  dominatesLosses,
  frontOf,
  nonDominatedFronts,
} from "../../../../../coordinator/sweep/search/pareto.js";
import { Random } from "../../../../../coordinator/sweep/search/random.js";
import { outcome } from "./outcomes.js";

test("dominating is being nowhere worse and somewhere better", () => {
  expect(dominatesLosses([1, 2], [1, 3])).toBe(true);
  expect(dominatesLosses([1, 2], [1, 2])).toBe(false);
  expect(dominatesLosses([1, 2], [2, 1])).toBe(false);
});

test.each([
  ["feasible over infeasible", { losses: [9, 9] }, { losses: [0, 0], violation: 0.1 }],
  ["less violation over more", { losses: [9, 9], violation: 0.1 }, { losses: [0, 0], violation: 0.2 }],
  ["infeasible over failed", { losses: [9, 9], violation: 7 }, { failure: "no" }],
])("%s", (_, better, worse) => {
  expect(dominates(outcome(1, better), outcome(2, worse))).toBe(true);
  expect(dominates(outcome(2, worse), outcome(1, better))).toBe(false);
});

test("fronts are peeled off one by one, infeasible and failed ones last", () => {
  const outcomes = [
    outcome(0, { losses: [3, 3] }),
    outcome(1, { losses: [1, 4] }),
    outcome(2, { losses: [4, 1] }),
    outcome(3, { losses: [2, 2] }),
    outcome(4, { losses: [0, 0], violation: 1 }),
    outcome(5, { failure: "no" }),
    outcome(6, { losses: [4, 4] }),
  ];
  expect(nonDominatedFronts(outcomes)).toEqual([[1, 2, 3], [0], [6], [4], [5]]);
  expect(frontOf(outcomes).map(({ trial }) => trial)).toEqual([1, 2, 3]);
});

test.each([1, 2, 3, 4])("fronts are those that peeling by all comparisons gives, of %i objectives", (objectives) => {
  const random = new Random(0, `outcomes of ${objectives}`);
  const outcomes = Array.from({ length: 120 }, (_, trial) => {
    const losses = Array.from({ length: objectives }, () => (random.uniform() < 0.02 ? Number.NaN : random.integer(6)));
    const violation = random.uniform() < 0.3 ? random.integer(3) : 0;
    return outcome(trial, { losses, violation, ...(random.uniform() < 0.1 ? { failure: "no" } : {}) });
  });
  const peeled: number[][] = [];
  for (let left = [...outcomes.keys()]; left.length > 0; ) {
    const isBelow = (i: number): boolean =>
      left.some((j) => {
        const [other, one] = [outcomes[j], outcomes[i]];
        return other !== undefined && one !== undefined && dominates(other, one);
      });
    const front = left.filter((i) => !isBelow(i));
    peeled.push(front);
    left = left.filter((i) => !front.includes(i));
  }
  expect(nonDominatedFronts(outcomes)).toEqual(peeled);
});

test("the front of what is all infeasible is what violates least", () => {
  const outcomes = [outcome(1, { losses: [1, 1], violation: 2 }), outcome(2, { losses: [9, 9], violation: 1 })];
  expect(frontOf(outcomes).map(({ trial }) => trial)).toEqual([2]);
  expect(frontOf([outcome(1, { failure: "no" })])).toEqual([]);
});

test("the front is the first of the fronts, on 300 random outcomes of three objectives", () => {
  const random = new Random(0, "outcomes");
  const outcomes = Array.from({ length: 300 }, (_, trial) =>
    outcome(trial, { losses: [random.integer(20), random.integer(20), random.integer(20)] }),
  );
  const [first = []] = nonDominatedFronts(outcomes);
  expect(frontOf(outcomes).map(({ trial }) => trial)).toEqual(first);
});

test("crowding is the relative distance of the neighbours, summed over objectives, and infinite at the ends", () => {
  const front = [
    [0, 10],
    [1, 6],
    [4, 5],
    [10, 0],
  ];
  const [first, second, third, last] = crowdingDistance(front);
  expect([first, last]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  expect(second).toBeCloseTo(4 / 10 + 5 / 10, 12);
  expect(third).toBeCloseTo(9 / 10 + 6 / 10, 12);
});

test("an objective in which all are equal says nothing about crowding", () => {
  const distances = crowdingDistance([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  expect(distances[1]).toBe(1);
});
