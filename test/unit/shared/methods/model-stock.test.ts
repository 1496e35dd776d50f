import { expect, test } from "vitest";
import { caseOf, expectClose, run, type Values } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";
import { add, dot, minus, norm, plus, times, type Vector } from "../../../support/vectors.js";

const random = seeded(14);
const base = normals(240, random, 0.05);
const common = normals(240, random, 0.02);
const others = [1, 2, 3].map((seed) => {
  const own = normals(240, seeded(seed), 0.01);
  return base.map((x, i) => x + (common[i] ?? 0) + (own[i] ?? 0));
});

function modelStock(inputs: readonly Float32Array[], merge: Values = {}, shape?: readonly number[]): Float32Array {
  return run(caseOf("model_stock", inputs, { merge, ...(shape && { shape }) }));
}

function formula(origin: Vector, models: readonly Vector[]): number[] {
  const deltas = models.map((model) => minus(model, origin));
  const cosines = deltas.flatMap((x, i) => deltas.slice(i + 1).map((y) => dot(x, y) / (norm(x) * norm(y))));
  const cosine = add(cosines) / cosines.length;
  const t = (models.length * cosine) / (1 + (models.length - 1) * cosine);
  const mean = times(
    models.reduce((total, model) => plus(total, [...model]), times(origin, 0)),
    1 / models.length,
  );
  return plus(times(mean, t), times(origin, 1 - t));
}

test.each([2, 3])("%d models give the formula's numbers, as one vector or row by row", (count) => {
  const models = others.slice(0, count);
  expectClose(
    modelStock([base, ...models]),
    formula(
      [...base],
      models.map((x) => [...x]),
    ),
  );
  const byRow = Array.from({ length: 12 }, (_, row) => {
    const part = (x: Float32Array) => [...x.subarray(row * 20, row * 20 + 20)];
    return formula(part(base), models.map(part));
  }).flat();
  expectClose(modelStock([base, ...models], { filter_wise: true }, [12, 20]), byRow);
});

test.each([
  ["at 60 degrees two models are followed for two thirds", [1, 1, 0], [0, 1, 1], [1 / 3, 2 / 3, 1 / 3]],
  ["at right angles the base stays", [2, 0, 0], [0, 1, 0], [0, 0, 0]],
  ["opposite models have no common direction, and the base stays", [2, 1, 0], [-4, -2, 0], [0, 0, 0]],
  ["of a model that never left the base there is no angle, and the base stays", [2, 1, 0], [0, 0, 0], [0, 0, 0]],
])("%s", (_, a, b, wanted) => {
  expectClose(modelStock([Float32Array.of(0, 0, 0), Float32Array.from(a), Float32Array.from(b)]), wanted);
});

test("equal models give that model", () => {
  const [model = base] = others;
  expectClose(modelStock([base, model, model, model]), model);
  expectClose(modelStock([base, model, model], { filter_wise: true }, [12, 20]), model);
});

test("the order of the models does not matter, and common shifts and factors come out", () => {
  const once = modelStock([base, ...others]);
  expectClose(modelStock([base, ...others.toReversed()]), once);
  const scaled = [base, ...others].map((x) => x.map((value) => 4 * value));
  expectClose(
    modelStock(scaled),
    once.map((x) => 4 * x),
    1e-6,
    2 ** -22,
  );
});

test("a vector is one row", () => {
  expect(modelStock([base, ...others], { filter_wise: true })).toEqual(modelStock([base, ...others]));
});
