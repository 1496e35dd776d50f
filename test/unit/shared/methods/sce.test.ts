import { expect, test } from "vitest";
import { caseOf, expectClose, run, type Values } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";
import { add, minus, type Vector } from "../../../support/vectors.js";

const random = seeded(18);
const [base, ...models] = Array.from({ length: 4 }, () => normals(1000, random, 0.05)) as [
  Float32Array,
  ...Float32Array[],
];

function sce(inputs: readonly Float32Array[], merge: Values = {}): Float32Array {
  return run(caseOf("sce", inputs, { merge }));
}

function formula(origin: Vector, others: readonly Vector[], share: number): number[] {
  let deltas = others.map((other) => minus(other, origin));
  const column = (i: number): number[] => deltas.map((delta) => delta[i] ?? 0);
  if (share < 1) {
    const variances = origin.map((_, i) => {
      const mean = add(column(i)) / deltas.length;
      return add(column(i).map((x) => (x - mean) ** 2)) / deltas.length;
    });
    const varying = variances.filter((variance) => variance > 0).length;
    const descending = [...variances.keys()].toSorted((i, j) => (variances[j] ?? 0) - (variances[i] ?? 0));
    const selected = new Set(descending.slice(0, Math.floor(varying * share)));
    deltas = deltas.map((delta) => delta.map((x, i) => (selected.has(i) ? x : 0)));
  }
  const energies = deltas.map((delta) => add(delta.map((x) => x * x)) / delta.length);
  const total = add(energies);
  const weights = energies.map((energy) => (total < 1e-6 ? 1 / deltas.length : energy / total));
  return origin.map((x, i) => {
    const sign = add(column(i)) >= 0 ? 1 : -1;
    const agreeing = weights.map((weight, t) => ((column(i)[t] ?? 0) * sign > 0 ? weight : 0));
    return x + add(agreeing.map((weight, t) => weight * (column(i)[t] ?? 0))) / Math.max(add(agreeing), 1e-6);
  });
}

test.each([1, 0.9, 0.5, 0.1])("select_topk %d gives the formula's numbers", (select_topk) => {
  const wanted = formula(
    [...base],
    models.map((x) => [...x]),
    select_topk,
  );
  expectClose(sce([base, ...models], { select_topk }), wanted);
});

test("weights are the models' shares of the energy, over what agrees in sign", () => {
  const [a, b] = [Float32Array.of(3, 0, -1), Float32Array.of(1, 1, 2)];
  // Energies 10 and 6, so weights 5/8 and 3/8; in the last element the signs differ and 2 wins over −1.
  expectClose(sce([Float32Array.of(0, 0, 0), a, b]), [(5 * 3 + 3 * 1) / 8, 1, 2]);
});

test("what varies most between the models is kept, and what does not vary is not counted", () => {
  const zero = new Float32Array(6);
  const [a, b] = [Float32Array.of(1, 1, 1, 1, 1, 1), Float32Array.of(1, 3, 2, 1, 1, -4)];
  const changed = (select_topk: number) => [...sce([zero, a, b], { select_topk }).map((x) => Number(x !== 0))];
  // Three elements vary: by 2, by 1 and by 5.
  expect(changed(0.4)).toEqual([0, 0, 0, 0, 0, 1]);
  expect(changed(0.7)).toEqual([0, 1, 0, 0, 0, 1]);
  expect(changed(0.999)).toEqual([0, 1, 0, 0, 0, 1]);
  expect(changed(1)).toEqual([1, 1, 1, 1, 1, 1]);
});

test("elements that tie with the last one kept are kept too", () => {
  const [a, b] = [Float32Array.of(1, 1, 1, 1), Float32Array.of(2, 2, 2, 5)];
  expect([...sce([new Float32Array(4), a, b], { select_topk: 0.5 })].every((x) => x !== 0)).toBe(true);
});

test("where nothing is selected the base stays", () => {
  expect(sce([base, ...models], { select_topk: 0 })).toEqual(base);
  expect(sce([base, ...models], { select_topk: 0.0009 })).toEqual(base);
});

test("equal models never vary, even three whose mean cannot be written exactly", () => {
  const [model = base] = models;
  expect(sce([base, model, model, model], { select_topk: 0.99 })).toEqual(base);
  expectClose(sce([base, model, model, model]), model);
});

test("the order of the models does not matter", () => {
  expectClose(sce([base, ...models.toReversed()], { select_topk: 0.5 }), sce([base, ...models], { select_topk: 0.5 }));
});
