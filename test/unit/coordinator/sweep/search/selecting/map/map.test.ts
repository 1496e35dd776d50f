import { describe, expect, test } from "vitest";
import { hypervolume } from "../../../../../../../coordinator/sweep/search/hypervolume.js";
import { map } from "../../../../../../../coordinator/sweep/search/selecting/map/map.js";
import { mapBayesian } from "../../../../../../../coordinator/sweep/search/selecting/map/map-bayesian.js";
import type { Course } from "../../../../../../support/run-search.js";
import { runSearch, unitCube } from "../../../../../../support/run-search.js";
import { squaredDistance } from "../made.js";

const [near, far] = [
  [0.2, 0.3, 0.7],
  [0.8, 0.6, 0.4],
];
const apart = squaredDistance(near, far);
const reference = [1.1 * apart, 1.1 * apart];

/** Of two squared distances the best compromises lie between the two places: losses t²d² and (1 − t)²d², t in [0, 1]. */
function analyticVolume(): number {
  const limit = 1.1 * apart;
  const root = Math.sqrt(apart);
  let volume = 0.1 * apart * limit;
  const slices = 100_000;
  for (let i = 0; i < slices; i += 1) {
    const first = ((i + 0.5) / slices) * apart;
    volume += (apart / slices) * (limit - (root - Math.sqrt(first)) ** 2);
  }
  return volume;
}

function measuredVolume({ outcomes }: Course): number {
  return hypervolume(
    outcomes.map(({ losses }) => losses),
    reference,
  );
}

const twoDistances = {
  space: unitCube(3),
  objectives: 2,
  judge: (_: unknown, unit: readonly number[]) => [squaredDistance(unit, near), squaredDistance(unit, far)],
};

interface Facts {
  readonly surrogates: readonly {
    readonly link: string;
    readonly coefficients: {
      readonly squares: number[];
      readonly products: number[];
      readonly linear: number[];
      readonly constant: number;
    };
    readonly leftOut: { readonly r2: number; readonly rmse: number };
    readonly confirmed: { readonly r2: number; readonly rmse: number };
  }[];
}

function factsOf(course: Course): Facts {
  return course.result?.facts as unknown as Facts;
}

describe("map", () => {
  test("measures (n + 1)(n + 2) points, finds the quadratics exactly, and their front to 1 % of its volume", () => {
    const course = runSearch(map, twoDistances, { link: "identity", confirm: 100 });
    const first = factsOf(course).surrogates[0];
    first?.coefficients.squares.forEach((value) => {
      expect(value).toBeCloseTo(1, 9);
    });
    first?.coefficients.products.forEach((value) => {
      expect(value).toBeCloseTo(0, 9);
    });
    first?.coefficients.linear.forEach((value, i) => {
      expect(value).toBeCloseTo(-2 * (near[i] ?? 0), 9);
    });
    expect(first?.coefficients.constant).toBeCloseTo(squaredDistance(near, [0, 0, 0]), 9);
    expect(first?.leftOut.r2).toBeCloseTo(1, 9);
    expect(course.outcomes.length).toBe(20 + 100);
    expect(measuredVolume(course) / analyticVolume()).toBeGreaterThan(0.99);
    expect(course.result?.front?.length).toBeGreaterThan(90);
  });

  test("of accuracies fits a sigmoid, and says how far off it is on points that it has not seen", () => {
    const accuracy = (unit: readonly number[], best: readonly number[]) =>
      -1 / (1 + Math.exp(3 * squaredDistance(unit, best) - 1.5));
    const exact = runSearch(map, {
      ...twoDistances,
      judge: (_, unit) => [accuracy(unit, near), accuracy(unit, far)],
    });
    expect(factsOf(exact).surrogates.map(({ link }) => link)).toEqual(["sigmoid", "sigmoid"]);
    expect(factsOf(exact).surrogates[1]?.confirmed.rmse).toBeLessThan(1e-6);
    const wavy = runSearch(map, {
      ...twoDistances,
      judge: (_, unit) => [accuracy(unit, near), accuracy(unit, far) * (0.9 + 0.1 * Math.sin(12 * (unit[0] ?? 0)))],
    });
    const [quadratic, other] = factsOf(wavy).surrogates;
    expect(quadratic?.leftOut.rmse).toBeLessThan(1e-6);
    expect(other?.leftOut.rmse).toBeGreaterThan(0.02);
    expect(other?.confirmed.rmse).toBeGreaterThan(0.005);
  });

  test("recommends only points that were measured, and none that violates a constraint", () => {
    const course = runSearch(
      map,
      {
        ...twoDistances,
        judge: (_, unit) => ({
          losses: [squaredDistance(unit, near), squaredDistance(unit, far)],
          violation: Math.max(0, 0.4 - (unit[0] ?? 0)),
        }),
      },
      { link: "identity" },
    );
    const violations = new Map(course.outcomes.map(({ point, violation }) => [point, violation]));
    expect(course.result?.front?.length).toBeGreaterThan(8);
    for (const point of course.result?.front ?? []) expect(violations.get(point)).toBe(0);
    const confirmed = course.outcomes.slice(20);
    expect(confirmed.filter(({ violation }) => violation === 0).length).toBeGreaterThan(0.7 * confirmed.length);
  });

  test("fits to what did not fail, and says so", () => {
    const course = runSearch(
      map,
      {
        ...twoDistances,
        judge: (request, unit) => ((unit[1] ?? 0) > 0.9 ? "no room" : twoDistances.judge(request, unit)),
      },
      { link: "identity", points: 40 },
    );
    expect(course.notes[0]).toMatch(
      /^\d of 40 trials failed and do not count in the fit; the first, trial 2: no room$/,
    );
    expect(factsOf(course).surrogates[0]?.coefficients.squares[0]).toBeCloseTo(1, 9);
  });

  test.each([
    [{ kind: "choice", name: "method", values: ["ties", "linear"] } as const, /"method" has choices.*nsga-ii/],
  ])("refuses what is no number", (dimension, told) => {
    expect(map.refuses?.({ space: [dimension], objectives: 1, rungs: [1], experts: new Map() }, {})).toMatch(told);
  });
});

describe("map-bayesian", () => {
  test("reaches the same front in rounds, with as many trials as map", () => {
    const course = runSearch(mapBayesian, twoDistances, { link: "identity", confirm: 100 });
    expect(course.requests.filter(({ label }) => label?.startsWith("round")).length).toBe(9);
    expect(course.outcomes.length).toBeLessThan(20 + 105);
    expect(measuredVolume(course) / analyticVolume()).toBeGreaterThan(0.99);
  });

  test("measures where its surrogates are wrong: here in directions that are mostly the second number", () => {
    const isOdd = (unit: readonly number[]) => (unit[1] ?? 0) > 1.5 * (unit[0] ?? 0);
    const course = runSearch(
      mapBayesian,
      {
        space: unitCube(2),
        judge: (_, unit) => squaredDistance(unit, [0.3, 0.3]) + (isOdd(unit) ? Math.sin(40 * (unit[1] ?? 0)) : 0),
      },
      { link: "identity", initial: 60, rounds: 1, points: 60 },
    );
    const places = course.requests
      .filter(({ label }) => label === "round 1")
      .map(({ point }) => Object.values(point).map(Number));
    expect(places.filter(isOdd).length).toBeGreaterThan(45);
  });
});
