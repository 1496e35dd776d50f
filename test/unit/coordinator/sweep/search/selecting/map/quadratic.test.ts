import { describe, expect, test } from "vitest";
import { Random } from "../../../../../../../coordinator/sweep/search/random.js";
import {
  identity,
  type Link,
  linkFor,
  sigmoid,
  softplus,
} from "../../../../../../../coordinator/sweep/search/selecting/map/link.js";
import {
  fitQuadratic,
  namedCoefficients,
  quadraticTermCount,
  quadraticTerms,
} from "../../../../../../../coordinator/sweep/search/selecting/map/quadratic.js";

test("a quadratic of n variables has (n + 1)(n + 2)/2 terms, squares first", () => {
  expect(quadraticTerms([2, 3, 5])).toEqual([4, 9, 25, 6, 10, 15, 2, 3, 5, 1]);
  expect(quadraticTermCount(3)).toBe(10);
  expect(namedCoefficients([1, 2, 3, 4, 5, 6], 2)).toEqual({
    squares: [1, 2],
    products: [3],
    linear: [4, 5],
    constant: 6,
  });
});

describe("fitQuadratic()", () => {
  test.each([identity, sigmoid, softplus])("finds the quadratic that values were made of, through $name", (link) => {
    const random = new Random(1, "made");
    const wanted = Array.from({ length: quadraticTermCount(4) }, () => random.normal());
    const x = Array.from({ length: 2 * wanted.length }, () => Array.from({ length: 4 }, () => random.uniform()));
    const found = fitQuadratic(
      x,
      x.map((one) => link.value(dot(quadraticTerms(one), wanted))),
      link,
    );
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(wanted[i] ?? 0, 6);
    });
  });

  // SciPy 1.17.1, curve_fit() with p0 = ones, which is what the authors call; the sum of squares is the last number.
  test.each<[Link, (place: readonly [number, number], k: number) => number, number[], number]>([
    [
      sigmoid,
      ([a, b], k) => sigmoid.value(-3 * (a - 0.6) ** 2 - 2 * (b - 0.4) ** 2 + a * b + 1) + 0.03 * Math.sin(7 * k),
      [-2.81113328, -2.01468128, 1.08218286, 3.32394467, 1.60675306, -0.34556283],
      0.007634146380621001,
    ],
    [
      softplus,
      ([a, b], k) => softplus.value(2 * (a - 0.6) ** 2 + 1.5 * (b - 0.4) ** 2 - a * b + 0.2) + 0.05 * Math.cos(5 * k),
      [1.92581546, 1.47907814, -0.73273612, -2.46527843, -1.30054399, 1.21560883],
      0.013745876311595677,
    ],
  ])("agrees with SciPy on values that no quadratic has, case %#", (link, valueAt, wanted, wantedError) => {
    const x = Array.from({ length: 20 }, (_, k) => [Math.floor(k / 4) / 4, (k % 4) / 3] as const);
    const y = x.map(valueAt);
    const found = fitQuadratic(x, y, link);
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(wanted[i] ?? 0, 4);
    });
    const error = x.reduce((sum, one, i) => sum + (link.value(dot(quadraticTerms(one), found)) - (y[i] ?? 0)) ** 2, 0);
    expect(error).toBeCloseTo(wantedError, 9);
  });

  test("with fewer points than unknowns still goes through all of them", () => {
    const x = [
      [0, 0],
      [1, 0],
      [0.5, 1],
      [0.5, 1],
    ];
    const y = [1, 2, 4, 4];
    const found = fitQuadratic(x, y, identity);
    x.forEach((one, i) => {
      expect(dot(quadraticTerms(one), found)).toBeCloseTo(y[i] ?? 0, 9);
    });
  });
});

describe("linkFor()", () => {
  test.each([
    ["accuracies with their sign turned", [-0.9, -0.2, 0], "sigmoid", -1],
    ["losses", [0, 3.2], "softplus", 1],
    ["both signs", [-2, 0.4], "identity", 1],
  ])("takes of %s the link of Li et al.", (_, losses, name, sign) => {
    const found = linkFor(losses, "auto");
    expect([found.link.name, found.sign]).toEqual([name, sign]);
  });

  test.each([sigmoid, softplus, identity])(
    "$name is undone by its inverse, and its slope is its derivative",
    (link) => {
      for (const q of [-4, -0.3, 0, 1.7, 5]) {
        expect(link.inverse(link.value(q))).toBeCloseTo(q, 9);
        expect(link.slope(q)).toBeCloseTo((link.value(q + 1e-5) - link.value(q - 1e-5)) / 2e-5, 8);
      }
    },
  );
});

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}
