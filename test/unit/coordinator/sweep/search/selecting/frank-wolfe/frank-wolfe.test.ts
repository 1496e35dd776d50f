import { describe, expect, test } from "vitest";
import { frankWolfe } from "../../../../../../../coordinator/sweep/search/selecting/frank-wolfe/frank-wolfe.js";
import type { RangeDimension, Space } from "../../../../../../../coordinator/sweep/space.js";
import { type Course, runSearch } from "../../../../../../support/run-search.js";
import { squaredDistance } from "../made.js";

interface Iteration {
  readonly loss: number;
  readonly gap: number;
  readonly towards: readonly string[];
  readonly share: number;
}

/** Weights from 0 to 1 for models, in groups of layers if there are any. */
function weights(models: readonly string[], groups: readonly (string | undefined)[] = [undefined]): Space {
  return models.flatMap((model) =>
    groups.map((group): RangeDimension => {
      const name = `${model} weight${group === undefined ? "" : ` ${group}`}`;
      const range = { kind: "range", name, model, low: 0, high: 1, start: 1, scale: "linear" } as const;
      return group === undefined ? range : { ...range, group };
    }),
  );
}

const space = weights(["a", "b", "c"]);
const fine = { iterations: 200, finest: 1e-4, tolerance: 1e-6 };

function towardsTarget(target: readonly number[], options = {}, spaceOfTarget = space): Course {
  return runSearch(
    frankWolfe,
    { space: spaceOfTarget, judge: (_, unit) => squaredDistance(unit, target) },
    { ...fine, ...options },
  );
}

function iterationsOf(course: Course): readonly Iteration[] {
  return course.result?.facts?.["course"] as Iteration[];
}

describe("frank-wolfe", () => {
  test.each([
    ["inside the hull", [0.5, 0.3, 0.1], [0.5, 0.3, 0.1]],
    // The nearest point of {w ≥ 0, Σ w ≤ 1} is the projection: both are moved back by .25.
    ["on its face", [0.9, 0.6, -0.2], [0.65, 0.35, 0]],
    ["at a model by itself", [1.5, 0, 0], [1, 0, 0]],
    ["at the base", [-0.2, -0.1, -0.3], [0, 0, 0]],
  ])("finds the optimum %s, where the gap ends", (_, target, optimum) => {
    const course = towardsTarget(target);
    const least = squaredDistance(optimum, target);
    const iterations = iterationsOf(course);
    expect(course.best.loss - least).toBeLessThan(3e-3);
    expect(iterations.at(-1)?.gap).toBeLessThan(0.05);
    iterations.slice(1).forEach(({ loss }, i) => {
      expect(loss).toBeLessThanOrEqual(iterations[i]?.loss ?? 0);
    });
  });

  test("falls at least as fast as theory says: 2 C / (t + 2), where C is the diameter's square times the curvature", () => {
    const least = squaredDistance([0.65, 0.35, 0], [0.9, 0.6, -0.2]);
    iterationsOf(towardsTarget([0.9, 0.6, -0.2])).forEach(({ loss }, t) => {
      expect(loss - least).toBeLessThanOrEqual((2 * 2 * 2) / (t + 3) + 1e-9);
    });
  });

  test("the gap bounds how far the loss is from its least", () => {
    const least = squaredDistance([0.65, 0.35, 0], [0.9, 0.6, -0.2]);
    const course = towardsTarget([0.9, 0.6, -0.2], { epsilon: 1e-4, finest: 1e-4 });
    let before = course.outcomes[0]?.loss ?? 0;
    for (const { loss, gap } of iterationsOf(course)) {
      expect(gap).toBeGreaterThan(before - least - 1e-3);
      before = loss;
    }
  });

  test("begins at the average and needs M + 1 directions and 4 steps for an iteration", () => {
    const course = towardsTarget([0.5, 0.3, 0.1], { iterations: 2 });
    const labels = course.requests.map(({ label }) => label);
    const once = ["towards a", "towards b", "towards c", "towards base", ...new Array(4).fill("line search")];
    expect(labels).toEqual(["start", ...once, ...once]);
    for (const weight of Object.values(course.requests[0]?.point ?? {})) expect(weight).toBeCloseTo(1 / 3, 12);
  });

  test("by group reaches what no mixture of whole models can", () => {
    const grouped = weights(["a", "b"], ["early", "late"]);
    // In the early layers a, in the late ones b.
    const target = [1, 0, 0, 1];
    expect(towardsTarget(target, {}, grouped).best.loss).toBeGreaterThan(0.9);
    const byGroup = towardsTarget(target, { granularity: "group" }, grouped);
    expect(byGroup.best.loss).toBeLessThan(1e-3);
    expect(iterationsOf(byGroup)[0]?.towards).toEqual(["a in early", "b in late"]);
  });

  test("from the start may end outside the hull of the models, as the start is a vertex then", () => {
    const halves = space.map((one): RangeDimension => ({ ...(one as RangeDimension), start: 0.8 }));
    const course = towardsTarget([0.8, 0.8, 0.7], { from: "start", scale: 1 }, halves);
    expect(course.best.loss).toBeLessThan(0.011);
  });

  test("goes around directions that fail, and says so", () => {
    const course = runSearch(
      frankWolfe,
      {
        space,
        judge: ({ label }, unit) => (label === "towards b" ? "out of memory" : squaredDistance(unit, [0.5, 0, 0.4])),
      },
      fine,
    );
    expect(course.best.loss).toBeLessThan(0.01);
    expect(course.notes[0]).toBe(
      "1 of 4 trials failed and were no directions to go; the first, trial 3: out of memory",
    );
  });

  test("stays where constraints hold, and looks for such a place first", () => {
    const course = runSearch(
      frankWolfe,
      {
        space,
        judge: (_, unit) => ({
          losses: [squaredDistance(unit, [1, 0, 0])],
          violation: Math.max(0, (unit[0] ?? 0) - 0.25),
        }),
      },
      fine,
    );
    expect(course.outcomes[0]?.violation).toBeGreaterThan(0);
    const [found] = course.outcomes.filter(({ point }) => point === course.result?.best);
    expect(found?.violation).toBe(0);
    expect(found?.loss).toBeGreaterThan(0.55);
    expect(found?.loss).toBeLessThan(0.75);
  });

  test.each<[string, Partial<RangeDimension>, RegExp]>([
    ["steps", { step: 0.1 }, /without steps/],
    ["a model that is always in", { low: 0.1 }, /"a weight" to reach 0/],
    ["a start at the base", { start: 0 }, /not at 0/],
    ["a start outside", { start: 2 }, /to reach 2/],
  ])("refuses %s", (_, change, told) => {
    const changed = [{ ...(space[0] as RangeDimension), ...change }, ...space.slice(1)];
    expect(frankWolfe.refuses?.({ space: changed, objectives: 1, rungs: [1], experts: new Map() }, {})).toMatch(told);
  });

  test("refuses what is no model's weight", () => {
    const extra: Space = [...space, { kind: "choice", name: "normalize", values: [true, false] }];
    const told = frankWolfe.refuses?.({ space: extra, objectives: 1, rungs: [1], experts: new Map() }, {});
    expect(told).toMatch(/"normalize" is something else/);
  });
});
