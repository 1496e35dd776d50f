import { describe, expect, test } from "vitest";
import { Random } from "../../../../../../../coordinator/sweep/search/random.js";
import { asha } from "../../../../../../../coordinator/sweep/search/selecting/halving/asha.js";
import { hyperband } from "../../../../../../../coordinator/sweep/search/selecting/halving/hyperband.js";
import { successiveHalving } from "../../../../../../../coordinator/sweep/search/selecting/halving/successive-halving.js";
import { type Course, type Problem, runSearch, unitCube } from "../../../../../../support/run-search.js";
import { squaredDistance } from "../made.js";

const rungs = [30, 90, 270];
const best = [0.6, 0.2];

/** The loss is blurred as a mean over so many examples is, the same for a point whenever it is run. */
function noisy(seed: number): Problem {
  return {
    space: unitCube(2),
    rungs,
    seed,
    judge: ({ point, rung = 2 }, unit) => {
      const noise = new Random(seed, `${JSON.stringify(point)} ${rung}`).normal() / Math.sqrt(rungs[rung] ?? 1);
      return squaredDistance(unit, best) + noise * 0.2;
    },
  };
}

function trialsByRung({ requests }: Course): number[] {
  return rungs.map((_, rung) => requests.filter((request) => request.rung === rung).length);
}

describe("successive-halving", () => {
  test("keeps a third from rung to rung", () => {
    expect(trialsByRung(runSearch(successiveHalving, noisy(1)))).toEqual([27, 9, 3]);
    expect(trialsByRung(runSearch(successiveHalving, noisy(1), { candidates: 40, eta: 4 }))).toEqual([40, 10, 2]);
  });

  test("what goes on is the best of its rung", () => {
    const { outcomes, requests } = runSearch(successiveHalving, noisy(2));
    const lowest = outcomes.filter(({ rung }) => rung === 0).toSorted((a, b) => a.loss - b.loss);
    expect(requests.slice(27, 36).map(({ point }) => point)).toEqual(lowest.slice(0, 9).map(({ point }) => point));
  });

  test("over 20 seeds ends with one of the best 3 of 27, at a third of the examples", () => {
    let found = 0;
    for (let seed = 0; seed < 20; seed += 1) {
      const course = runSearch(successiveHalving, noisy(seed));
      const distances = course.outcomes
        .slice(0, 27)
        .map(({ point }) => squaredDistance(Object.values(point).map(Number), best));
      const third = distances.toSorted((a, b) => a - b)[2] ?? 0;
      if (squaredDistance(Object.values(course.best.point).map(Number), best) <= third) found += 1;
    }
    expect(found).toBeGreaterThanOrEqual(18);
    // Rungs are nested, so that only what a rung adds is run: 27 · 30 + 9 · 60 + 3 · 180, where all on all is 27 · 270.
    expect((27 * 30 + 9 * 60 + 3 * 180) / (27 * 270)).toBeLessThan(0.27);
  });

  test("what fails goes no further, and the author is told", () => {
    const course = runSearch(successiveHalving, {
      ...noisy(3),
      judge: (request, unit) => ((unit[0] ?? 0) > 0.5 ? "out of memory" : noisy(3).judge(request, unit)),
    });
    expect(course.notes[0]).toMatch(
      /^1\d of 27 trials failed and went no further than rung 1; the first, trial \d+: out of memory$/,
    );
    for (const { point } of course.requests.slice(27)) expect(Number(point["x0"])).toBeLessThanOrEqual(0.5);
  });

  test("of a small space runs every point once", () => {
    const course = runSearch(successiveHalving, {
      ...noisy(1),
      space: [{ kind: "choice", name: "method", values: ["ties", "linear", "slerp"] }],
    });
    expect(trialsByRung(course)).toEqual([3, 1, 1]);
    expect(course.notes).toEqual(["There are only 3 different points, so these are all the candidates"]);
  });

  test.each([successiveHalving, hyperband, asha])("$name refuses a single rung", ({ refuses }) => {
    const told = refuses?.({ space: unitCube(1), objectives: 1, rungs: [100], experts: new Map() }, {});
    expect(told).toMatch(/give tasks\.rungs, such as \[32, 128\]$/);
  });
});

test("hyperband begins on every rung in turn, with as many points as the paper's formula gives", () => {
  const course = runSearch(hyperband, noisy(4));
  // Brackets of 9, 3, 1; of 5, 1; of 3.
  const counts = new Map<string, number>();
  for (const { label = "" } of course.requests) counts.set(label, (counts.get(label) ?? 0) + 1);
  expect([...counts]).toEqual([
    ["bracket 1, rung 1", 9],
    ["bracket 1, rung 2", 3],
    ["bracket 1, rung 3", 1],
    ["bracket 2, rung 2", 5],
    ["bracket 2, rung 3", 1],
    ["bracket 3, rung 3", 3],
  ]);
});

describe("asha", () => {
  test("alone promotes what is among the best third of its rung, highest rung first", () => {
    // The n-th new point has the n-th of these losses, on every rung.
    const losses = [5, 4, 3, 6, 2, 1, 9, 8, 7, 10, 11, 12];
    const places = new Map<string, number>();
    const course = runSearch(asha, {
      space: unitCube(1),
      rungs,
      width: 1,
      trials: 15,
      judge: ({ point }) => {
        const key = JSON.stringify(point);
        if (!places.has(key)) places.set(key, places.size);
        return losses[places.get(key) ?? 0] ?? 99;
      },
    });
    expect(course.outcomes.map(({ loss, rung }) => [loss, rung])).toEqual([
      [5, 0],
      [4, 0],
      [3, 0],
      [3, 1],
      [6, 0],
      [2, 0],
      [2, 1],
      [1, 0],
      [1, 1],
      [1, 2],
      [9, 0],
      [8, 0],
      [7, 0],
      [10, 0],
      [11, 0],
    ]);
  });

  test("puts the good ones through, whatever is under way, and most trials on the lowest rung", () => {
    for (const width of [1, 8, 20]) {
      const course = runSearch(asha, { ...noisy(5), width, trials: 150 });
      const [low = 0, middle = 0, high = 0] = trialsByRung(course);
      expect(low).toBeGreaterThan(2 * middle);
      expect(middle).toBeGreaterThan(2 * high);
      expect(high).toBeGreaterThan(5);
      expect(squaredDistance(Object.values(course.best.point).map(Number), best)).toBeLessThan(0.02);
    }
  });

  test("never runs a point twice on a rung, and ends where a small space is used up", () => {
    const course = runSearch(asha, {
      ...noisy(6),
      space: [{ kind: "range", name: "density", low: 0.1, high: 0.9, scale: "linear", step: 0.1 }],
    });
    const keys = course.requests.map(({ point, rung }) => JSON.stringify([point, rung]));
    expect(new Set(keys).size).toBe(keys.length);
    expect(trialsByRung(course)).toEqual([9, 3, 1]);
  });

  test("what failed is not promoted and does not count", () => {
    const course = runSearch(asha, {
      ...noisy(7),
      width: 1,
      trials: 60,
      judge: (request, unit) => ((unit[1] ?? 0) < 0.3 ? "out of memory" : noisy(7).judge(request, unit)),
    });
    for (const { point } of course.requests.filter(({ rung }) => rung !== 0))
      expect(Number(point["x1"])).toBeGreaterThanOrEqual(0.3);
    expect(course.notes[0]).toMatch(/^1 of 1 trials failed and will not be promoted/);
  });
});
