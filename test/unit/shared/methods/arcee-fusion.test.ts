import { expect, test } from "vitest";
import { Graph } from "../../../../shared/expression/expression.js";
import { interpret } from "../../../../shared/expression/interpret.js";
import { klDivergence } from "../../../../shared/methods/divergence.js";
import { caseOf, run } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";

/** mergekit's formula in f64. */
function divergenceOf(x: Float32Array, y: Float32Array): number {
  const softmax = (row: Float32Array): number[] => {
    const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Array.from(row, (value) => Math.exp(value - largest));
    const total = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / total + 1e-8);
  };
  const q = softmax(y);
  return softmax(x).reduce((sum, p, i) => sum + p * Math.log(p / (q[i] ?? Number.NaN)), 0);
}

function divergenceInF32(x: Float32Array, y: Float32Array): number {
  const graph = new Graph();
  const [p, q] = [graph.input(), graph.input()];
  const program = graph.finish(p.times(0).plus(klDivergence(p, q)));
  return interpret(program, { inputs: [x, y], parameters: [] })[0] ?? Number.NaN;
}

test.each([
  [0.02, 1e-5],
  [0.02, 1e-4],
  [0.02, 1e-3],
  [0.02, 0.02],
  [1, 0.1],
  [1, 0.2],
  [3, 3],
  [100, 200],
])("rows of size %f that differ by %f diverge as they do in f64", (size, difference) => {
  const random = seeded(17);
  for (const length of [2, 18, 1_000]) {
    const y = normals(length, random, size);
    const noise = normals(length, random, difference);
    const x = y.map((value, i) => value + (noise[i] ?? 0));
    const truth = divergenceOf(x, y);
    // The reference itself is good to the rounding of its terms, which are as large as the difference.
    const allowed = 5e-6 * truth + 1e-15;
    expect(Math.abs(divergenceInF32(x, y) - truth), `${length} elements: ${truth}`).toBeLessThanOrEqual(allowed);
  }
});

test("equal rows do not diverge, and a vector of one element never does", () => {
  const y = normals(100, seeded(1));
  expect(divergenceInF32(y, y)).toBe(0);
  expect(divergenceInF32(Float32Array.of(3), Float32Array.of(-2))).toBeCloseTo(0, 12);
});

test("arcee_fusion takes over what is at least 1½ quartile distances above the median importance", () => {
  const [rows, columns] = [60, 50];
  const random = seeded(4);
  const base = normals(rows * columns, random, 0.02);
  const other = base.map((x, i) => x + (random() - 0.5) * 0.001 * (1 + Math.floor(i / columns)));
  const row = (values: Float32Array, i: number) => values.subarray(i * columns, (i + 1) * columns);
  const divergences = Array.from({ length: rows }, (_, i) => divergenceOf(row(other, i), row(base, i)));
  const importance = [...other].map((x, i) => {
    return Math.abs(x - (base[i] ?? 0)) * (divergences[Math.floor(i / columns)] ?? Number.NaN);
  });
  const sorted = importance.toSorted((a, b) => a - b);
  const quartile = (q: number): number => sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN;
  const threshold = quartile(0.5) + 1.5 * (quartile(0.75) - quartile(0.25));
  const merged = run(caseOf("arcee_fusion", [base, other], { shape: [rows, columns] }));
  let taken = 0;
  merged.forEach((x, i) => {
    const score = importance[i] ?? Number.NaN;
    if (Math.abs(score / threshold - 1) < 1e-5) return;
    taken += Number(score > threshold);
    if (Math.abs(x - ((score > threshold ? other : base)[i] ?? 0)) > 1e-8)
      expect.fail(`element ${i}: ${score}, ${threshold}`);
  });
  expect(taken).toBeGreaterThan(100);
});
