import { expect, test } from "vitest";
import { schedule } from "../../../../shared/expression/passes.js";
import { caseOf, expectClose, run, type Values } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";
import { add, dot, minus, norm, plus, times, type Vector, weightedSum } from "../../../support/vectors.js";

const random = seeded(13);
const [a, b, c] = [0.05, 0.05, 0.08].map((scale) => normals(500, random, scale)) as [
  Float32Array,
  Float32Array,
  Float32Array,
];
const zero = a.map(() => 0);

function karcher(inputs: readonly Float32Array[], merge: Values = {}): Float32Array {
  return run(caseOf("karcher", inputs, { merge }));
}

/** The iteration on the vectors themselves, by default until it stands still. */
function formula(vectors: readonly Vector[], steps = 1000): number[] {
  const units = vectors.map((vector) => times(vector, 1 / norm(vector)));
  const sum = units.reduce((total, unit) => plus(total, unit));
  let mean = times(sum, 1 / norm(sum));
  for (let step = 0; step < steps; step += 1) {
    const logarithms = units.map((unit) => {
      const theta = Math.acos(Math.min(1, dot(mean, unit)));
      return times(minus(unit, times(mean, Math.cos(theta))), theta / Math.sin(theta) / units.length);
    });
    const tangent = logarithms.reduce((total, logarithm) => plus(total, logarithm));
    const angle = norm(tangent);
    if (angle < 1e-12) break;
    mean = plus(times(mean, Math.cos(angle)), times(tangent, Math.sin(angle) / angle));
  }
  return times(mean, add(vectors.map(norm)) / vectors.length);
}

const vectors = [a, b, c].map((x) => [...x]);

test.each([0, 1, 2, 5])("after %d steps the mean is where the iteration is", (max_iter) => {
  expectClose(karcher([a, b, c], { max_iter, tol: 1e-9 }), formula(vectors, max_iter), 1e-6, 2 ** -23);
});

test("it ends at the point where the directions to all models balance", () => {
  // The default tolerance stops at a step of 1e-5.
  expectClose(karcher([a, b, c]), formula(vectors), 1e-4, 1e-6);
  expectClose(karcher([a, b, c], { max_iter: 100, tol: 0 }), formula(vectors), 1e-6, 2 ** -23);
  const near = [1, 2, 3].map((seed) => {
    const change = normals(500, seeded(seed), 0.002);
    return a.map((x, i) => x + (change[i] ?? 0));
  });
  expectClose(karcher(near), formula(near.map((x) => [...x])));
});

test("of two models of equal length it is slerp's half-way point", () => {
  const turned = Float32Array.from(weightedSum([[...b]], [norm([...a]) / norm([...b])]));
  expectClose(karcher([a, turned]), run(caseOf("slerp", [a, turned], { merge: { t: 0.5 } })), 1e-5);
});

test("the order of the models does not matter, and a common factor comes out", () => {
  const once = karcher([a, b, c]);
  expectClose(karcher([c, a, b]), once, 1e-6, 2 ** -23);
  expectClose(
    karcher([a, b, c].map((x) => x.map((value) => 4 * value))),
    once.map((x) => 4 * x),
    1e-5,
  );
});

test("equal models give that model, and one model is taken as it is", () => {
  expectClose(karcher([a, a, a]), a);
  expect(karcher([a])).toEqual(a);
});

test("a zero tensor has no direction but counts in the mean length", () => {
  expectClose(
    karcher([zero, a]),
    a.map((x) => x / 2),
  );
  expect(karcher([zero, zero])).toEqual(zero);
});

test("opposite models have no mean: the first one's direction is taken", () => {
  for (const length of [1, 2, 3, 0.7]) {
    const opposite = a.map((x) => -length * x);
    expectClose(
      karcher([a, opposite]),
      a.map((x) => (x * (1 + length)) / 2),
      1e-5,
    );
  }
});

test("a NaN shows in every element", () => {
  const broken = Float32Array.from(a, (x, i) => (i === 7 ? Number.NaN : x));
  expect(karcher([broken, b, c]).every(Number.isNaN)).toBe(true);
});

test("the data are read once for all steps, and once more to write", () => {
  expect(schedule(caseOf("karcher", [a, b, c], { merge: { max_iter: 100 } }).program).statistics).toHaveLength(1);
});
