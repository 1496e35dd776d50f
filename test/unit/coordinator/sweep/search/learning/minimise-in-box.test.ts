import { expect, test } from "vitest";
import { type Cheap, minimiseInBox } from "../../../../../../coordinator/sweep/search/learning/minimise-in-box.js";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import { dot, type Matrix, multiply, rowOf, transpose, zeros } from "../../../../../../shared/linalg/matrix.js";

const wide = (count: number) => ({ low: new Float64Array(count).fill(-10), high: new Float64Array(count).fill(10) });

/** ½ (x − m)ᵀ A (x − m) with a random A of the given condition. */
function quadratic(seed: number, count: number): { readonly cheap: Cheap; readonly minimum: Float64Array } {
  const random = new Random(seed, "quadratic");
  const factor = zeros(count, count);
  for (let i = 0; i < factor.data.length; i += 1) factor.data[i] = random.normal();
  const curvature: Matrix = multiply(transpose(factor), factor);
  const minimum = Float64Array.from({ length: count }, () => random.normal());
  const slopes = (x: Float64Array): Float64Array => {
    const away = x.map((value, i) => value - (minimum[i] ?? 0));
    return away.map((_, i) => dot(rowOf(curvature, i), away));
  };
  const value = (x: Float64Array): number =>
    0.5 *
    dot(
      slopes(x),
      x.map((one, i) => one - (minimum[i] ?? 0)),
    );
  return { cheap: { value, gradient: slopes, curvature: () => curvature }, minimum };
}

test.each([1, 2, 3])("a quadratic's minimum is found with curvature and without, seed %i", (seed) => {
  const { cheap, minimum } = quadratic(seed, 6);
  for (const known of [cheap, { ...cheap, curvature: undefined }]) {
    const found = minimiseInBox(known, new Float64Array(6), wide(6));
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(minimum[i] ?? 0, 4);
  }
});

test.each([1, 2, 3, 4, 5])("in a box the conditions of a minimum hold at every wall and inside, seed %i", (seed) => {
  const { cheap, minimum } = quadratic(seed, 6);
  const box = { low: new Float64Array(6).fill(-0.3), high: new Float64Array(6).fill(0.3) };
  for (const known of [cheap, { ...cheap, curvature: undefined }]) {
    const found = minimiseInBox(known, new Float64Array(6), box);
    const gradient = cheap.gradient(found);
    for (const [i, value] of found.entries()) {
      // Karush, Kuhn and Tucker: downhill points outwards at a wall, and nowhere inside.
      if (value === -0.3) expect(gradient[i]).toBeGreaterThanOrEqual(0);
      else if (value === 0.3) expect(gradient[i]).toBeLessThanOrEqual(0);
      else expect(gradient[i]).toBeCloseTo(0, 3);
    }
    expect(minimum.some((value) => Math.abs(value) > 0.3)).toBe(true);
  }
});

test("the valley of Rosenbrock's function is followed to its end by slopes alone", () => {
  const rosenbrock: Cheap = {
    value: ([x = 0, y = 0]) => (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    gradient: ([x = 0, y = 0]) => Float64Array.of(-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)),
  };
  const [x, y] = minimiseInBox(rosenbrock, Float64Array.of(-1.2, 1), wide(2));
  expect(x).toBeCloseTo(1, 3);
  expect(y).toBeCloseTo(1, 3);
});

test("coefficients that change nothing stay where they are", () => {
  const flat: Cheap = {
    value: ([x = 0]) => (x - 1) ** 2,
    gradient: ([x = 0]) => Float64Array.of(2 * (x - 1), 0),
    curvature: () => ({ rows: 2, columns: 2, data: Float64Array.of(2, 0, 0, 0) }),
  };
  const found = minimiseInBox(flat, Float64Array.of(0, 0.7), wide(2));
  expect(found[0]).toBeCloseTo(1, 6);
  expect(found[1]).toBe(0.7);
});
