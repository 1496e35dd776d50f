import { expect, test } from "vitest";
import { caseOf, expectClose, run, type Values } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";

const zero = (x: Float32Array): Float32Array => x.map(() => 0);

function kept(x: Float32Array, density: number, gamma: number, merge: Values = {}): Float32Array {
  return run(caseOf("breadcrumbs", [zero(x), x], { perModel: [{}, { weight: 1, density, gamma }], merge }));
}

/** By sorting, with the counts written as mergekit's documentation has them. */
function formula(x: Float32Array, density: number, gamma: number): number[] {
  const n = x.length;
  const target = Math.floor(density * n);
  const below = Math.max(0, n - target - Math.floor(gamma * n));
  const ascending = [...x.keys()].toSorted((i, j) => Math.abs(x[i] ?? 0) - Math.abs(x[j] ?? 0));
  const between = new Set(ascending.slice(below, below + target));
  return [...x].map((value, i) => (between.has(i) ? value : 0));
}

const steps = Float32Array.of(0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9, -1);

test.each([
  ["half, without the largest", 0.5, 0.1, [0, 0, 0, 0, 0.5, -0.6, 0.7, -0.8, 0.9, 0]],
  ["half, outliers included", 0.5, 0, [0, 0, 0, 0, 0, -0.6, 0.7, -0.8, 0.9, -1]],
  ["a gamma under one element drops none", 0.5, 0.09, [0, 0, 0, 0, 0, -0.6, 0.7, -0.8, 0.9, -1]],
  ["more outliers than the density leaves", 0.7, 0.5, [0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, 0, 0, 0]],
  ["everything", 1, 0.5, [...steps]],
  ["nothing", 0, 0.1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ["a density under one element keeps none", 0.09, 0.1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
])("keeps %s", (_, density, gamma, wanted) => {
  expectClose(kept(steps, density, gamma), wanted);
});

test.each([
  [0.1, 0.01],
  [0.3, 0.2],
  [0.62, 0.38],
  [0.9, 0.3],
])("density %d and gamma %d keep what a sort would", (density, gamma) => {
  const x = normals(4099, seeded(15), 0.02);
  const out = kept(x, density, gamma);
  expectClose(out, formula(x, density, gamma));
  expect(out.filter((value) => value !== 0)).toHaveLength(Math.floor(density * x.length));
});

test("elements that tie with the largest or the smallest kept one are kept too", () => {
  const x = Float32Array.of(5, 4, 4, -4, 3, 2, -2, 1);
  expect([...kept(x, 0.5, 0.25)]).toEqual([0, 4, 4, -4, 3, 2, -2, 0]);
  expect([...kept(x, 0, 0.25)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});

test("rescale restores the L1 norm", () => {
  const out = kept(steps, 0.5, 0.1, { rescale: "l1" });
  expect(out.reduce((total, x) => total + Math.abs(x), 0)).toBeCloseTo(5.5, 5);
});

test("a NaN shows", () => {
  const broken = Float32Array.from(steps, (x, i) => (i === 3 ? Number.NaN : x));
  expect(kept(broken, 0.5, 0.1)[3]).toBeNaN();
});

test("without trimming they are task arithmetic, and TIES without its mean", () => {
  const random = seeded(16);
  const inputs = Array.from({ length: 3 }, () => normals(1000, random, 0.05));
  const perModel = [{}, { weight: 0.6, density: 1 }, { weight: -0.3, density: 1 }];
  const of = (name: string, merge: Values = {}) => run(caseOf(name, inputs, { perModel, merge }));
  expect(of("breadcrumbs")).toEqual(of("task_arithmetic"));
  expect(of("breadcrumbs_ties")).toEqual(of("ties", { normalize: false }));
});

test("breadcrumbs_ties lets the trimmed task vectors vote", () => {
  const a = Float32Array.of(0.9, -0.5, 0.3, 0.1);
  const b = Float32Array.of(-0.1, 0.4, 0.5, 0.9);
  const perModel = [{}, { weight: 1, density: 0.5, gamma: 0.25 }, { weight: 1, density: 0.5, gamma: 0.25 }];
  // Left of a: −0.5 and 0.3; of b: 0.4 and 0.5. The signs of the second element differ, and −0.5 outvotes 0.4.
  expectClose(run(caseOf("breadcrumbs_ties", [zero(a), a, b], { perModel })), [0, -0.5, 0.8, 0]);
});
