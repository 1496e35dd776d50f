import { expect, test } from "vitest";
import { methods } from "../../../../shared/methods/index.js";
import { caseOf, expectClose, run, type Values } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";
import { add, dot, minus, norm, plus, times, type Vector, weightedSum } from "../../../support/vectors.js";

const random = seeded(12);
const [base, a, b, c] = [0.05, 0.05, 0.08, 0.02].map((scale) => normals(500, random, scale)) as [
  Float32Array,
  Float32Array,
  Float32Array,
  Float32Array,
];

function multislerp(
  inputs: readonly Float32Array[],
  weights: readonly number[],
  given: { merge?: Values; hasBase?: boolean } = {},
): Float32Array {
  const perModel = weights.map((weight) => ({ weight }));
  return run(caseOf("multislerp", inputs, { perModel: given.hasBase ? [{}, ...perModel] : perModel, ...given }));
}

/** With the step in the tangent space that our expression leaves out because it is zero. */
function formula(vectors: readonly Vector[], weights: Vector, eps = 1e-8): number[] {
  const units = vectors.map((vector) => times(vector, 1 / (norm(vector) + eps)));
  const sum = weightedSum(units, weights);
  const mean = times(sum, 1 / norm(sum));
  const tangents = units.map((unit) => minus(unit, times(mean, dot(unit, mean))));
  const step = weightedSum(tangents, weights);
  const angle = norm(step) + eps;
  const turned = plus(times(mean, Math.cos(angle)), times(step, Math.sin(angle) / angle));
  return times(turned, add(vectors.map((vector, i) => norm(vector) * (weights[i] ?? 0))));
}

test("of unit vectors along the axes, the mean points between them", () => {
  const axes = [Float32Array.of(1, 0, 0), Float32Array.of(0, 1, 0), Float32Array.of(0, 0, 1)];
  expectClose(
    multislerp(axes, [1, 1, 1]),
    [1, 1, 1].map((x) => x / Math.sqrt(3)),
  );
});

test.each([[[1, 1, 1]], [[0.2, 0.5, 0.3]], [[3, 1, -0.5]]])("weights %j give the formula's numbers", (weights) => {
  const shares = weights.map((weight) => weight / add(weights));
  const vectors = [a, b, c].map((x) => [...x]);
  expectClose(multislerp([a, b, c], weights), formula(vectors, shares));
  expectClose(multislerp([a, b, c], weights, { merge: { normalize_weights: false } }), formula(vectors, weights));
  const deltas = vectors.map((x) => minus(x, [...base]));
  expectClose(multislerp([base, a, b, c], weights, { hasBase: true }), plus([...base], formula(deltas, shares)));
});

test("the order of the models does not matter, and a common factor comes out", () => {
  const once = multislerp([a, b, c], [1, 2, 3]);
  expectClose(multislerp([c, a, b], [3, 1, 2]), once);
  expectClose(
    multislerp(
      [a, b, c].map((x) => x.map((value) => 4 * value)),
      [1, 2, 3],
    ),
    once.map((x) => 4 * x),
  );
});

test("equal models give that model, and one model is taken as it is", () => {
  expectClose(multislerp([a, a, a], [1, 2, 3]), a);
  expect(multislerp([a], [0.3])).toEqual(a);
  expect(multislerp([base, a], [0.3], { hasBase: true })).toEqual(a);
});

test("where the directions balance, the result is the weighted sum", () => {
  const third = a.map((x) => -3 * x);
  expectClose(
    multislerp([a, third], [1, 1]),
    a.map((x) => -x),
    1e-5,
  );
  // mergekit stops the merge where three or more balance, as models do that never changed a tensor.
  expect(multislerp([base, base, base, base], [1, 1, 1], { hasBase: true })).toEqual(base);
});

test("weights that sum to nothing cannot be normalized", () => {
  const check = (weights: readonly number[], normalize_weights: boolean) =>
    methods.get("multislerp")?.check({ models: weights.map((weight) => ({ weight })), merge: { normalize_weights } });
  expect(check([1, -1], true)).toContain("sum to 0");
  expect(check([1, -1], false)).toBeUndefined();
  expect(check([0], true)).toBeUndefined();
});
