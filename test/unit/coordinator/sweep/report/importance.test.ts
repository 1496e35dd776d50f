import { describe, expect, test } from "vitest";
import { importanceOf } from "../../../../../coordinator/sweep/report/importance.js";
import { Random } from "../../../../../coordinator/sweep/search/random.js";

const count = 400;

/** Trials at random points of two parameters, with their scores. */
function rolled(score: (x: number, y: number, noise: number) => number) {
  const random = new Random(3, "importance");
  const rows = Array.from({ length: count }, () => [random.uniform(), random.uniform(), random.normal()] as const);
  return {
    x: rows.map(([x]) => x),
    y: rows.map(([, y]) => y),
    scores: rows.map(([x, y, noise]) => score(x, y, noise)),
  };
}

describe("importanceOf()", () => {
  test("finds a parameter that alone decides, however it bends, and none in the other", () => {
    const { x, y, scores } = rolled((x) => -((x - 0.6) ** 2));
    expect(importanceOf(x, scores)).toBeGreaterThan(0.9);
    expect(importanceOf(y, scores)).toBeLessThan(0.03);
  });

  test("is 0 on average where nothing matters, unlike the plain share of the variance", () => {
    const random = new Random(5, "chance");
    const shares = Array.from({ length: 200 }, () => {
      const values = Array.from({ length: 50 }, () => random.uniform());
      return importanceOf(
        values,
        values.map(() => random.normal()),
      );
    });
    // Five bins of fifty trials: η² would be 4 / 49 on average; half of the ε² are below 0, and count as 0.
    expect(shares.reduce((sum, share) => sum + share, 0) / shares.length).toBeLessThan(0.04);
    expect(shares.filter((share) => share === 0).length).toBeGreaterThan(80);
  });

  test("orders parameters by their effects, whatever one broken merge scored", () => {
    const { x, y, scores } = rolled((x, y, noise) => 3 * x + y + 0.1 * noise);
    scores[0] = -1e9;
    expect(importanceOf(x, scores)).toBeGreaterThan(0.7);
    expect(importanceOf(x, scores)).toBeGreaterThan(2 * importanceOf(y, scores));
    expect(importanceOf(y, scores)).toBeGreaterThan(0.02);
  });

  test("agrees with a one-way analysis of variance by hand", () => {
    // Ranks 1…12, choices of four trials each: means 2.5, 6.5, 10.5, SSB = 128, SST = 143, MSW = 15 / 9.
    const choices = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2];
    const scores = choices.map((_, i) => i * i);
    expect(importanceOf(choices, scores)).toBeCloseTo((128 - 2 * (15 / 9)) / 143, 12);
  });

  test.each([
    ["too few trials", [1, 2, 3], [1, 2, 3]],
    ["a parameter that stays the same", Array(20).fill(1), Array.from({ length: 20 }, (_, i) => i)],
    ["scores that stay the same", Array.from({ length: 20 }, (_, i) => i), Array(20).fill(1)],
  ])("is 0 for %s", (_, values: number[], scores: number[]) => {
    expect(importanceOf(values, scores)).toBe(0);
  });
});
