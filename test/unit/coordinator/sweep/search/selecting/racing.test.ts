import { describe, expect, test } from "vitest";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import type { Outcome } from "../../../../../../coordinator/sweep/search/searching.js";
import { pairedDifference } from "../../../../../../coordinator/sweep/search/selecting/paired-difference.js";
import { racing, thresholdFor } from "../../../../../../coordinator/sweep/search/selecting/racing.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { type Course, runSearch } from "../../../../../support/run-search.js";

const rungs = [50, 100, 200, 400];

/**
 * Candidate k answers each example rightly with the probability skills[k]; some examples are hard for all of them, so
 * that differences vary less than scores.
 */
function race(skills: readonly number[], seed: number): Course {
  const space: Space = [{ kind: "choice", name: "candidate", values: skills.map((_, k) => k) }];
  const examples = new Random(seed, "examples");
  const hard = Array.from({ length: 400 }, () => examples.uniform() < 0.5);
  const answers = skills.map((skill, k) => {
    const random = new Random(seed, `candidate ${k}`);
    return hard.map((isHard) => (random.uniform() < skill && !isHard ? 1 : 0));
  });
  return runSearch(racing, {
    ...{ space, rungs, seed },
    judge: ({ point, rung = 3 }) => {
      const scores = Float64Array.from(answers[Number(point["candidate"])] ?? []).slice(0, rungs[rung]);
      const loss = -scores.reduce((sum, score) => sum + score, 0) / scores.length;
      return { losses: [loss], examples: new Map([["task", scores]]) };
    },
  });
}

function candidatesOnRung({ requests }: Course, rung: number): number[] {
  return requests.filter((request) => request.rung === rung).map(({ point }) => Number(point["candidate"]));
}

describe("racing", () => {
  test("over 50 seeds drops much worse candidates on the first rung and loses the best in fewer than 10 %", () => {
    let lost = 0;
    let dropped = 0;
    for (let seed = 0; seed < 50; seed += 1) {
      const course = race([0.9, 0.85, 0.85, 0.3, 0.2, 0.25, 0.3, 0.2], seed);
      if (!candidatesOnRung(course, 3).includes(0)) lost += 1;
      dropped += candidatesOnRung(course, 0).length - candidatesOnRung(course, 1).length;
    }
    expect(lost).toBeLessThan(5);
    expect(dropped / 50).toBeGreaterThan(4);
  });

  test("over 50 seeds drops fewer than 10 % of candidates that are as good as the best", () => {
    let dropped = 0;
    for (let seed = 0; seed < 50; seed += 1)
      dropped += 8 - candidatesOnRung(race(new Array(8).fill(0.7), seed), 3).length;
    expect(dropped / (50 * 8)).toBeLessThan(0.1);
  });

  test("says where each was dropped, by how much, and against whom", () => {
    const course = race([0.9, 0.1], 1);
    const { dropped, leftAfterRung } = (course.result?.facts ?? {}) as {
      dropped: Record<string, number>[];
      leftAfterRung: number[];
    };
    expect(leftAfterRung).toEqual([1, 1, 1, 1]);
    expect(dropped).toHaveLength(1);
    const [first] = dropped;
    const trialOf = (candidate: number) => course.outcomes.find(({ point }) => point["candidate"] === candidate)?.trial;
    expect(first).toMatchObject({ trial: trialOf(1), incumbent: trialOf(0), rung: 0, examples: 50 });
    expect(first?.["difference"]).toBeGreaterThan(3 * (first?.["standardError"] ?? 0));
    expect(course.result?.best).toEqual({ candidate: 0 });
  });

  test("drops nobody where no metric is a mean over examples, and says so", () => {
    const space: Space = [{ kind: "choice", name: "candidate", values: [0, 1, 2] }];
    const course = runSearch(racing, { space, rungs: [10, 20], judge: ({ point }) => Number(point["candidate"]) });
    expect(course.outcomes).toHaveLength(6);
    expect(course.notes).toContain("Rung 1 drops nobody: what is sought is no mean over examples");
  });

  test("what fails leaves the race, and the author is told", () => {
    const space: Space = [{ kind: "choice", name: "candidate", values: [0, 1, 2] }];
    const judge = ({ point }: { point: Readonly<Record<string, unknown>> }) => (point["candidate"] === 1 ? "no" : 1);
    const course = runSearch(racing, { space, rungs: [10, 20], judge });
    expect(candidatesOnRung(course, 1).toSorted()).toEqual([0, 2]);
    expect(course.notes).toContainEqual(expect.stringMatching(/^1 of 3 trials failed and left the race/));
  });
});

describe("pairedDifference()", () => {
  const of = (examples: Record<string, number[]>): Outcome => ({
    ...{ trial: 1, point: {}, rung: 0, losses: [0], loss: 0, violation: 0 },
    examples: new Map(Object.entries(examples).map(([task, scores]) => [task, Float64Array.from(scores)])),
  });

  test("is the mean over tasks, with the error of that mean", () => {
    // Differences 1, 0, 1, 0: mean .5, variance 1/3. Differences 2, 0: mean 1, variance 2.
    const paired = pairedDifference(of({ a: [1, 1, 1, 0], b: [3, 1] }), of({ a: [0, 1, 0, 0], b: [1, 1] }));
    expect(paired?.difference).toBeCloseTo(0.75, 12);
    expect(paired?.standardError).toBeCloseTo(Math.sqrt(1 / 3 / 4 + 2 / 2) / 2, 12);
    expect(paired?.examples).toBe(6);
  });

  test("tasks count by their weights, those without not at all", () => {
    const [one, other] = [of({ a: [1, 1, 1, 0], b: [3, 1] }), of({ a: [0, 1, 0, 0], b: [1, 1] })];
    const weights = (a: number, b: number) => new Map(Object.entries({ a, b }));
    const paired = pairedDifference(one, other, weights(3, 1));
    expect(paired?.difference).toBeCloseTo((3 * 0.5 + 1) / 4, 12);
    expect(paired?.standardError).toBeCloseTo(Math.sqrt((9 * (1 / 3)) / 4 + 2 / 2) / 4, 12);
    expect(pairedDifference(one, other, weights(2, 0))).toEqual(pairedDifference(one, other, weights(1, 0)));
    expect(pairedDifference(one, other, weights(1, 0))).toMatchObject({ difference: 0.5, examples: 4 });
  });

  test("says nothing where one of the two has no scores of a task that counts", () => {
    expect(pairedDifference(of({ a: [1, 1] }), of({ b: [1, 1] }))).toBeUndefined();
    const weights = new Map([["a", 1]]);
    const [one, other] = [of({ a: [1, 1] }), of({ a: [0, 0] })];
    expect(pairedDifference(one, other, weights)).toBeDefined();
    expect(pairedDifference(one, other, weights.set("c", 1))).toBeUndefined();
  });
});

test("the threshold for many comparisons keeps the chance of one by Bonferroni's inequality", () => {
  expect(thresholdFor(2, 1)).toBe(2);
  // 31 comparisons: Φ(−3.303) is 4.8e-4, and Φ(−2) / 31 is 7.3e-4.
  expect(thresholdFor(2, 31)).toBeCloseTo(3.297, 2);
});
