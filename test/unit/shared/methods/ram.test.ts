import { expect, test } from "vitest";
import { caseOf, expectClose, run, type Values } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";
import { add, minus, type Vector } from "../../../support/vectors.js";

const random = seeded(19);
const base = normals(1000, random, 0.05);
const sparse = [0.2, 0.5, 0.1].map((density) => {
  const change = normals(1000, random, 0.02);
  return base.map((x, i) => (random() < density ? x + (change[i] ?? 0) : x));
});

function ram(name: "ram" | "ramplus_tl", inputs: readonly Float32Array[], merge: Values = {}): Float32Array {
  return run(caseOf(name, inputs, { merge }));
}

function formula(origin: Vector, models: readonly Vector[], given: { r?: number; alpha?: number; epsilon?: number }) {
  const { r = 0, alpha = 0, epsilon = 1e-5 } = given;
  const deltas = models.map((model) => minus(model, origin));
  const changed = deltas.map((delta) => delta.map((x) => Math.abs(x) > epsilon));
  const sharing = origin.map((_, i) => changed.filter((mask) => mask[i]).length);
  const factors = changed.map((mask) => {
    const shared = mask.filter((isChanged, i) => isChanged && (sharing[i] ?? 0) > 1).length;
    const own = mask.filter((isChanged, i) => isChanged && sharing[i] === 1).length;
    return 1 + r * Math.min(Math.max(shared / Math.max(own, epsilon), 0), alpha);
  });
  return origin.map((x, i) => {
    const changes = deltas.map((delta, t) => (changed[t]?.[i] ? (delta[i] ?? 0) : 0));
    const many = sharing[i] ?? 0;
    return x + add(changes.map((change, t) => (many > 1 ? change / many : change * (factors[t] ?? 1))));
  });
}

test.each([
  ["ram", {}],
  ["ram", { epsilon: 0.01 }],
  ["ramplus_tl", { r: 0.1, alpha: 0.2 }],
  ["ramplus_tl", { r: 0.5, alpha: 3, epsilon: 0.01 }],
  ["ramplus_tl", { r: -0.5, alpha: 0.01 }],
] as const)("%s with %j gives the formula's numbers", (name, merge) => {
  const wanted = formula(
    [...base],
    sparse.map((x) => [...x]),
    merge,
  );
  expectClose(ram(name, [base, ...sparse], merge), wanted);
});

test("what one model changed is kept whole, what several changed is averaged", () => {
  const zero = new Float32Array(4);
  const [a, b] = [Float32Array.of(1, 0, 3, 1e-5), Float32Array.of(0, 2, 1, 0)];
  expect([...ram("ram", [zero, a, b])]).toEqual([1, 2, 2, 0]);
  // Each changed one element alone and one together: a ratio of 1, bounded by alpha.
  expectClose(ram("ramplus_tl", [zero, a, b]), [1.02, 2.04, 2, 0]);
});

test("models that changed different elements are added up, by both", () => {
  const own = [0, 1, 2].map((place) => {
    const change = normals(1000, seeded(place), 0.02);
    return base.map((x, i) => (i % 3 === place ? x + (change[i] ?? 0) : x));
  });
  const perModel = [{}, { weight: 1 }, { weight: 1 }, { weight: 1 }];
  const sum = run(caseOf("task_arithmetic", [base, ...own], { perModel }));
  // A change of 1e-5 or less is no change.
  expectClose(ram("ram", [base, ...own]), sum, 1e-6, 1.1e-5);
  expect(ram("ramplus_tl", [base, ...own])).toEqual(ram("ram", [base, ...own]));
});

test("equal models give that model, and so does one", () => {
  const [model = base] = sparse;
  for (const name of ["ram", "ramplus_tl"] as const) {
    expectClose(ram(name, [base, model, model, model]), model, 1e-6, 1.1e-5);
    expectClose(ram(name, [base, model]), model, 1e-6, 1.1e-5);
  }
});

test("a NaN shows", () => {
  const broken = Float32Array.of(Number.NaN, 1, 0);
  const [first, ...rest] = ram("ram", [new Float32Array(3), broken, Float32Array.of(1, 1, 1)]);
  expect(first).toBeNaN();
  expect(rest).toEqual([1, 1]);
});
