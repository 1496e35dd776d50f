import { describe, expect, test } from "vitest";
import { frontPlaces, maxTrials, shownTrials, spaceOf } from "../../../../../coordinator/sweep/report/shown-trials.js";
import { comparableOf, dimensionsOf, scoresOf } from "../../../../../coordinator/sweep/report/trial-columns.js";
import type { TrialRecord } from "../../../../../coordinator/sweep/types.js";
import { madeTrial } from "../../../../support/made-trials.js";

const many = (count: number, change: (i: number) => Partial<TrialRecord>): TrialRecord[] => {
  return Array.from({ length: count }, (_, i) => madeTrial(i + 1, { x: i }, i / count, change(i)));
};

describe("comparableOf()", () => {
  test("takes the highest rung, unless too few trials came there", () => {
    const [some, few] = [30, 5].map((onTop) => many(100, (i) => ({ rung: i < onTop ? 1 : 0 })));
    expect(comparableOf(some ?? []).filter(Boolean)).toHaveLength(30);
    expect(comparableOf(few ?? []).filter(Boolean)).toHaveLength(95);
  });

  test("leaves out what failed, and models by themselves", () => {
    const trials = many(4, (i) => (i === 0 ? { status: "failed" } : i === 1 ? { reference: "base" } : {}));
    expect(comparableOf(trials)).toEqual([false, false, true, true]);
  });
});

test("scores of a sum read as the objectives do, and losses as losses", () => {
  const both = (losses: number[], objectives: Record<string, number>): TrialRecord =>
    madeTrial(1, {}, 0, { objectives, losses, loss: losses.reduce((sum, loss) => sum + loss, 0), metrics: {} });
  const higher = scoresOf([both([-0.5, -0.25], { a: 0.5, b: 0.25 })], new Map(), undefined);
  expect(higher.map(({ name, better, values }) => [name, better, values[0]])).toEqual([
    ["a", "higher", 0.5],
    ["b", "higher", 0.25],
    ["weighted sum", "higher", 0.75],
  ]);
  const mixed = scoresOf([both([-0.5, 2], { a: 0.5, entropy: 2 })], new Map(), undefined);
  expect(mixed.map(({ name, better, values }) => [name, better, values[0]])).toEqual([
    ["a", "higher", 0.5],
    ["entropy", "lower", 2],
    ["weighted sum of losses", "lower", 1.5],
  ]);
});

test("choices are places in a list, and what a trial does not have is nothing", () => {
  const trials = [
    madeTrial(1, { x: 0.1, method: "ties" }, 1),
    madeTrial(2, { x: 0.3, method: true }, 1),
    madeTrial(3, {}, 1),
  ];
  const [x, method] = dimensionsOf(spaceOf(trials), trials);
  expect(x).toMatchObject({ kind: "range", low: 0.1, high: 0.3, values: [0.1, 0.3, null] });
  expect(method).toMatchObject({ kind: "choice", choices: ["ties", "true"], values: [0, 1, null] });
});

test("the front is of several objectives, and of merges that meet the constraints", () => {
  const losses = [
    [-3, -1],
    [-2, -2],
    [-2, -1],
    [-9, -9],
  ];
  const trials = losses.map((of, i) => madeTrial(i + 1, {}, 0, { losses: of, violation: i === 3 ? 1 : 0 }));
  expect(
    frontPlaces(
      trials,
      trials.map(() => true),
    ),
  ).toEqual([0, 1]);
  expect(
    frontPlaces(
      many(3, () => ({})),
      [true, true, true],
    ),
  ).toEqual([]);
});

test("of more trials than a page holds, the best are there", () => {
  const trials = many(maxTrials + 2_000, () => ({}));
  const shown = shownTrials(trials);
  expect(shown.length).toBe(maxTrials);
  expect(shown.at(-5_000)?.trial).toBe(trials.at(-5_000)?.trial);
  expect(shown.every(({ trial }, i) => trial > (shown[i - 1]?.trial ?? 0))).toBe(true);
});
