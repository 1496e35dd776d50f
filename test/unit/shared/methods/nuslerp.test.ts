import { expect, test } from "vitest";
import { caseOf, expectClose, run, type Values } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";
import { dot, minus, norm, plus, times, type Vector } from "../../../support/vectors.js";

const random = seeded(11);
const [base, a, b] = [normals(240, random, 0.05), normals(240, random, 0.05), normals(240, random, 0.08)];

function nuslerp(
  inputs: readonly Float32Array[],
  weights: readonly number[],
  given: { merge?: Values; hasBase?: boolean; shape?: readonly number[] } = {},
): Float32Array {
  const perModel = weights.map((weight) => ({ weight }));
  return run(caseOf("nuslerp", inputs, { perModel: given.hasBase ? [{}, ...perModel] : perModel, ...given }));
}

/** Shoemake's formula, on vectors of any length. */
function alongArc(v0: Vector, v1: Vector, t: number): number[] {
  const theta = Math.acos(dot(v0, v1) / (norm(v0) * norm(v1)));
  const [s0, s1] = [Math.sin((1 - t) * theta) / Math.sin(theta), Math.sin(t * theta) / Math.sin(theta)];
  return plus(times(v0, s0), times(v1, s1));
}

/** The formula on a and b part by part, each part the places of its elements. */
function byParts(parts: readonly (readonly number[])[], t: number): number[] {
  const out = new Array<number>(a.length).fill(Number.NaN);
  for (const part of parts) {
    const turned = alongArc(
      part.map((i) => a[i] ?? 0),
      part.map((i) => b[i] ?? 0),
      t,
    );
    part.forEach((i, k) => {
      out[i] = turned[k] ?? Number.NaN;
    });
  }
  return out;
}

test("half-way between two unit vectors at right angles lies the one between them", () => {
  const out = nuslerp([Float32Array.of(1, 0, 0), Float32Array.of(0, 1, 0)], [1, 1]);
  expectClose(out, [Math.SQRT1_2, Math.SQRT1_2, 0]);
});

test.each([
  [0, 1],
  [1, 0],
  [1, 1],
  [0.3, 0.9],
  [-0.5, 2],
])("weights %d and %d give the formula's numbers", (first, second) => {
  const t = second / (first + second);
  expectClose(nuslerp([a, b], [first, second]), alongArc([...a], [...b], t));
  const turned = alongArc(minus([...a], [...base]), minus([...b], [...base]), t);
  expectClose(nuslerp([base, a, b], [first, second], { hasBase: true }), plus([...base], turned));
});

test("weights 1 - t and t are slerp at t", () => {
  for (const t of [0, 0.2, 0.5, 1]) {
    expectClose(nuslerp([a, b], [1 - t, t]), run(caseOf("slerp", [a, b], { merge: { t } })));
  }
});

test("weights that cancel count as equal ones", () => {
  expect(nuslerp([a, b], [0.5, -0.5])).toEqual(nuslerp([a, b], [1, 1]));
});

test("rows and columns are vectors of their own", () => {
  const rows = Array.from({ length: 12 }, (_, row) => Array.from({ length: 20 }, (_, column) => row * 20 + column));
  const columns = Array.from({ length: 20 }, (_, column) => Array.from({ length: 12 }, (_, row) => row * 20 + column));
  const byRow = nuslerp([a, b], [1, 3], { merge: { nuslerp_flatten: false }, shape: [12, 20] });
  expectClose(byRow, byParts(rows, 0.75));
  const byColumn = { nuslerp_flatten: false, nuslerp_row_wise: true };
  expectClose(nuslerp([a, b], [1, 3], { merge: byColumn, shape: [12, 20] }), byParts(columns, 0.75));
});

test("a vector is one row and one column", () => {
  const flat = nuslerp([a, b], [1, 3]);
  expectClose(nuslerp([a, b], [1, 3], { merge: { nuslerp_flatten: false } }), flat);
  expectClose(nuslerp([a, b], [1, 3], { merge: { nuslerp_flatten: false, nuslerp_row_wise: true } }), flat);
});

test("equal tensors stay as they are", () => {
  expectClose(nuslerp([a, a], [1, 4]), a);
  expect(nuslerp([base, base, base], [1, 4], { hasBase: true })).toEqual(base);
});

test("opposite tensors are joined by a straight line, whatever their lengths", () => {
  for (let length = 0.1; length < 3; length += 0.17) {
    const opposite = a.map((x) => -length * x);
    const wanted = a.map((x, i) => 0.75 * x + 0.25 * (opposite[i] ?? 0));
    expectClose(nuslerp([a, opposite], [3, 1]), wanted);
  }
});

test("close to opposite, the result stays on the arc", () => {
  const nearly = a.map((x, i) => -x + 0.01 * (b[i] ?? 0));
  expectClose(nuslerp([a, nearly], [1, 1]), alongArc([...a], [...nearly], 0.5), 1e-4, 1e-5);
});

test("a zero tensor counts as at right angles", () => {
  const zero = a.map(() => 0);
  expectClose(
    nuslerp([a, zero], [2, 1]),
    a.map((x) => x * Math.sin(Math.PI / 3)),
  );
  expect(nuslerp([zero, zero], [2, 1])).toEqual(zero);
});

test("a NaN shows in every element that depends on it", () => {
  const broken = Float32Array.from(a, (x, i) => (i === 7 ? Number.NaN : x));
  expect(nuslerp([broken, b], [1, 1]).every(Number.isNaN)).toBe(true);
  const byRow = nuslerp([broken, b], [1, 1], { merge: { nuslerp_flatten: false }, shape: [12, 20] });
  expect(byRow.subarray(0, 20).every(Number.isNaN)).toBe(true);
  expect(byRow.subarray(20).some(Number.isNaN)).toBe(false);
});
