import { expect, test } from "vitest";
import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import { gatherPass, interpret } from "../../shared/expression/interpret.js";
import { schedule } from "../../shared/expression/passes.js";
import { randomKey } from "../../shared/expression/random.js";
import { Scalars } from "../../shared/expression/scalars.js";
import { concatenate } from "../../shared/expression/statistics.js";
import { methods } from "../../shared/methods/index.js";
import type { MergeMethod } from "../../shared/methods/method.js";
import { caseOf, expectClose, run, type Values } from "../support/methods.js";
import { runCompiled, runInterpreted, tensorName } from "../support/pieces.js";
import { normals, seeded, wildValues } from "../support/random.js";

/** Every combination of booleans and choices of a method's own parameters. */
function variants(method: MergeMethod): readonly Values[] {
  let combinations: Values[] = [{}];
  for (const [name, spec] of Object.entries(method.merge)) {
    const values = spec.kind === "boolean" ? [true, false] : spec.kind === "choice" ? spec.choices : [];
    if (values.length > 0) combinations = combinations.flatMap((c) => values.map((value) => ({ ...c, [name]: value })));
  }
  return combinations;
}

/** How a method may be given models: how many tensors, and whether the first is the base. */
function arrangements(method: MergeMethod): readonly { tensors: number; hasBase: boolean }[] {
  const models = Math.min(method.models.max, 3);
  const without = { tensors: models, hasBase: false };
  const withBase = { tensors: models + 1, hasBase: true };
  return { none: [without], required: [withBase], optional: [without, withBase] }[method.base];
}

const shapes: readonly (readonly number[])[] = [[0], [1], [7], [4099], [11, 37], [3, 5, 8]];

test.each([...methods.keys()])(
  "%s gives the interpreter's bits on ordinary, tiny, huge-range and broken inputs",
  (name) => {
    const method = methods.get(name) as MergeMethod;
    const random = seeded(name.length);
    for (const { tensors, hasBase } of arrangements(method)) {
      for (const merge of variants(method)) {
        for (const shape of shapes) {
          const size = shape.reduce((product, dimension) => product * dimension, 1);
          for (const make of [() => normals(size, random, 0.05), () => wildValues(size, random)]) {
            const inputs = Array.from({ length: tensors }, make);
            const perModel = inputs.map((_, i) => ({
              weight: [0.5, -0.3, 0.8, 0.1][i],
              density: [1, 0.3, 0.62, 0.05][i],
            }));
            for (const dtype of ["F32", "BF16"] as const satisfies readonly ComputableDtype[]) {
              const given = {
                ...caseOf(name, inputs, { perModel, merge, hasBase, shape, seed: size }),
                dtypes: inputs.map(() => dtype),
                outputDtype: dtype,
              };
              expect(
                Buffer.from(runCompiled(given).bytes).equals(runInterpreted(given)),
                `${JSON.stringify(merge)} [${shape}] ${dtype}${hasBase ? " with a base" : ""}`,
              ).toBe(true);
            }
          }
        }
      }
    }
  },
);

test.each([...methods.keys()])("%s rounds little: f32 arithmetic stays near f64 on ordinary inputs", (name) => {
  const method = methods.get(name) as MergeMethod;
  const random = seeded(42);
  const shape = [20, 100];
  for (const { tensors, hasBase } of arrangements(method)) {
    const inputs = Array.from({ length: tensors }, () => normals(2000, random, 0.05));
    for (const merge of variants(method)) {
      const given = caseOf(name, inputs, { perModel: inputs.map(() => ({ density: 1 })), merge, hasBase, shape });
      const keys = Array.from({ length: 8 }, (_, stream) => randomKey(0, tensorName, stream));
      const tensor = { inputs, parameters: given.parameters ?? [], keys, rowElements: 100 };
      expectClose(run(given), interpret(given.program, tensor, "f64"), 1e-6, 1e-7);
    }
  }
});

const random = seeded(1);
const base = normals(1000, random, 0.05);
const a = base.map((x, i) => x + (normals(1000, seeded(2), 0.01)[i] ?? 0));

test("task arithmetic and TIES of one model with weight 1 give that model", () => {
  const perModel = [{}, { weight: 1, density: 1 }];
  for (const name of ["task_arithmetic", "ties"]) {
    expectClose(run(caseOf(name, [base, a], { perModel })), a);
  }
});

test("slerp gives the base at t = 0 and the other model at t = 1", () => {
  expect(run(caseOf("slerp", [base, a], { merge: { t: 0 } }))).toEqual(base);
  expectClose(run(caseOf("slerp", [base, a], { merge: { t: 1 } })), a);
});

test("slerp goes straight where there is no great circle: equal, opposite and zero tensors", () => {
  const opposite = base.map((x) => -x);
  const zero = base.map(() => 0);
  expect(run(caseOf("slerp", [base, base], { merge: { t: 0.25 } }))).toEqual(base);
  expectClose(
    run(caseOf("slerp", [base, opposite], { merge: { t: 0.25 } })),
    base.map((x) => 0.5 * x),
  );
  expect(run(caseOf("slerp", [zero, base], { merge: { t: 0.25 } })).every(Number.isFinite)).toBe(true);
});

test("TIES keeps the density share of largest elements, all of those that tie, and at least one", () => {
  const delta = Float32Array.of(0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9, -1);
  const zero = delta.map(() => 0);
  const kept = (density: number, x = delta) =>
    run(caseOf("ties", [zero.subarray(0, x.length), x], { perModel: [{}, { weight: 1, density }] })).filter(
      (v) => v !== 0,
    ).length;
  expect([1, 0.5, 0.29, 0.1, 0.01, 0].map((density) => kept(density))).toEqual([10, 5, 2, 1, 1, 0]);
  expect(kept(0.5, Float32Array.of(2, -2, 2, 1, 1, 0))).toBe(3);
  expect(kept(0.4, Float32Array.of(2, -2, 2, 1, 1))).toBe(3);
});

test("DARE keeps each element with the density's probability and keeps the expectation", () => {
  const ones = new Float32Array(200_000).fill(1);
  const zero = ones.map(() => 0);
  for (const density of [0.1, 0.5, 0.9]) {
    const out = run(
      caseOf("dare_linear", [zero, ones], { perModel: [{}, { weight: 1, density }], merge: { rescale: "inverse" } }),
    );
    const kept = out.filter((x) => x !== 0);
    // Five standard deviations of a binomial.
    const spread = 5 * Math.sqrt((density * (1 - density)) / ones.length);
    expect(Math.abs(kept.length / ones.length - density)).toBeLessThan(spread);
    expect(kept.every((x) => Math.abs(x - 1 / density) < 1e-6)).toBe(true);
  }
});

test("DARE's masks differ by model, tensor and seed, and by nothing else", () => {
  const ones = new Float32Array(4096).fill(1);
  const zero = ones.map(() => 0);
  const perModel = [{}, { weight: 1, density: 0.5 }, { weight: 100, density: 0.5 }];
  const merge = { rescale: "none" };
  const once = run(caseOf("dare_linear", [zero, ones, ones], { perModel, merge, seed: 1 }));
  expect(run(caseOf("dare_linear", [zero, ones, ones], { perModel, merge, seed: 1 }))).toEqual(once);
  expect(run(caseOf("dare_linear", [zero, ones, ones], { perModel, merge, seed: 2 }))).not.toEqual(once);
  // 0, 1, 100, 101: with one mask for both models only two of them would occur.
  expect(new Set(once)).toEqual(new Set([0, 1, 100, 101]));
  expect(randomKey(0, "a", 0)).not.toEqual(randomKey(0, "b", 0));
});

test("DARE with mergekit's rescale restores each task vector's L1 norm", () => {
  const out = run(caseOf("dare_linear", [base, a], { perModel: [{}, { weight: 1, density: 0.3 }] }));
  const l1 = (x: Float32Array) => x.reduce((sum, value, i) => sum + Math.abs(value - (base[i] ?? 0)), 0);
  expect(l1(out) / l1(a)).toBeCloseTo(1, 5);
});

test("TIES over the whole model trims the tensors together, as the paper does", () => {
  const small = a.map((x, i) => (base[i] ?? 0) + 0.1 * (x - (base[i] ?? 0)));
  const given = caseOf("ties", [base, a], { perModel: [{}, { weight: 1, density: 0.2 }], merge: { scope: "model" } });
  const tensors = [a, small].map((inputs) => ({
    inputs: [base, inputs],
    parameters: given.parameters ?? [],
    modelElements: 2000,
  }));
  const plan = schedule(given.program);
  expect(plan.modelwide).toBe(true);
  const counts = { row: 1000, column: 1, tensor: 1000, model: 2000 };
  const scalars = new Scalars(given.program, plan, { parameters: given.parameters ?? [], counts });
  plan.statistics.forEach((pass, index) => {
    const parts = tensors.map((tensor) => gatherPass(given.program, tensor, index, scalars.statistics));
    scalars.finishPass(
      index,
      pass.gathers.map((gather, g) =>
        concatenate(
          gather.kind,
          parts.map((part) => part[g] as never),
        ),
      ),
    );
  });
  const outputs = tensors.map((tensor) => interpret(given.program, { ...tensor, statistics: scalars.statistics }));
  const changed = outputs.map((out) => out.filter((x, i) => x !== base[i]).length);
  const magnitudes = [a, small].flatMap((x) => [...x].map((value, i) => Math.abs(Math.fround(value - (base[i] ?? 0)))));
  const threshold = magnitudes.toSorted((x, y) => y - x)[399] ?? Number.NaN;
  const wanted = [a, small].map(
    (x) => x.filter((value, i) => Math.abs(Math.fround(value - (base[i] ?? 0))) >= threshold).length,
  );
  expect(changed).toEqual(wanted);
  expect(wanted[0]).toBeGreaterThan(390);
});

test("linear refuses weights that sum to nothing", () => {
  const check = (weights: readonly number[], normalize: boolean) =>
    methods.get("linear")?.check({ models: weights.map((weight) => ({ weight })), merge: { normalize } });
  expect(check([1, -1], true)).toContain("sum to 0");
  expect(check([1, -1], false)).toBeUndefined();
  expect(check([1, 1], true)).toBeUndefined();
});
