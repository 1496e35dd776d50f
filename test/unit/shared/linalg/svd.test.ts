import { expect, test } from "vitest";
import { dot, type Matrix, multiply, rowOf, scale, transpose, zeros } from "../../../../shared/linalg/matrix.js";
import { orthonormalizeRows } from "../../../../shared/linalg/orthonormalize.js";
import { type Svd, svd, svdOfProduct, truncate } from "../../../../shared/linalg/svd.js";
import { largestDifference } from "../../../support/adapters.js";
import { normals, seeded } from "../../../support/random.js";

function random(rows: number, columns: number, seed: number): Matrix {
  return { rows, columns, data: Float64Array.from(normals(rows * columns, seeded(seed))) };
}

function productOf({ values, left, right }: Svd): Matrix {
  const scaled = { ...left, data: left.data.slice() };
  values.forEach((value, k) => {
    scale(rowOf(scaled, k), value);
  });
  return multiply(transpose(scaled), right);
}

function assertOrthonormal(vectors: Matrix, count: number): void {
  for (let i = 0; i < count; i += 1) {
    for (let j = 0; j <= i; j += 1) expect(dot(rowOf(vectors, i), rowOf(vectors, j))).toBeCloseTo(i === j ? 1 : 0, 12);
  }
}

test("svd() agrees with numpy.linalg.svd on the Hilbert matrix of 6 × 4, and on the best matrix of rank 2", () => {
  const hilbert = zeros(6, 4);
  hilbert.data.forEach((_, i) => {
    hilbert.data[i] = 1 / (Math.floor(i / 4) + (i % 4) + 1);
  });
  const found = svd(hilbert);
  const values = [1.5552291675960368, 0.20104609177021668, 0.01035668812080336, 0.0002398047920693345];
  expect(largestDifference(found.values, values)).toBeLessThan(1e-15);
  const firstRow = [0.9995557610231712, 0.5017228292252064, 0.333165045287502, 0.24853431332964976];
  expect(largestDifference(productOf(truncate(found, 2)).data.subarray(0, 4), firstRow)).toBeLessThan(1e-14);
});

test.each([
  [7, 7],
  [5, 40],
  [40, 5],
  [1, 9],
  [9, 1],
])("svd() takes a matrix of %d × %d apart, and its parts make it again", (rows, columns) => {
  const matrix = random(rows, columns, 100 * rows + columns);
  const before = matrix.data.slice();
  const found = svd(matrix);
  const count = Math.min(rows, columns);
  expect([found.left.rows, found.left.columns]).toEqual([count, rows]);
  expect([found.right.rows, found.right.columns]).toEqual([count, columns]);
  expect(largestDifference(productOf(found).data, matrix.data)).toBeLessThan(1e-13);
  assertOrthonormal(found.left, count);
  assertOrthonormal(found.right, count);
  expect([...found.values]).toEqual([...found.values].toSorted((a, b) => b - a));
  expect(matrix.data).toEqual(before);
});

test("svd() does not care for the sign that a matrix's vectors came with", () => {
  const matrix = random(6, 9, 3);
  const negated = { ...matrix, data: matrix.data.map((value) => -value) };
  const [found, other] = [svd(matrix), svd(negated)];
  expect(largestDifference(found.left.data, other.left.data)).toBeLessThan(1e-13);
  expect(
    largestDifference(
      found.right.data,
      other.right.data.map((value) => -value),
    ),
  ).toBeLessThan(1e-13);
});

test.each([
  ["fewer terms than rows", 3, 20, 30],
  ["more terms than rows", 12, 5, 8],
])("svdOfProduct() takes a product apart without forming it: %s", (_, terms, rows, columns) => {
  const [left, right] = [random(terms, rows, 4), random(terms, columns, 5)];
  const product = multiply(transpose(left), right);
  const found = svdOfProduct(left, right);
  expect(largestDifference(productOf(found).data, product.data)).toBeLessThan(1e-12);
  const whole = svd(product);
  const count = Math.min(terms, whole.values.length);
  expect(largestDifference(found.values.subarray(0, count), whole.values.subarray(0, count))).toBeLessThan(1e-12);
  assertOrthonormal(found.left, count);
});

test("svdOfProduct() takes factors that depend on each other", () => {
  const left = random(4, 10, 6);
  left.data.copyWithin(10, 0, 10);
  const right = random(4, 12, 7);
  const product = multiply(transpose(left), right);
  expect(largestDifference(productOf(svdOfProduct(left, right)).data, product.data)).toBeLessThan(1e-12);
});

test("orthonormalizeRows() keeps nearly parallel rows orthogonal to full precision, and gives L with the matrix = L Q", () => {
  const matrix = random(4, 50, 8);
  for (let row = 1; row < 4; row += 1) {
    rowOf(matrix, row).forEach((value, i) => {
      matrix.data[row * 50 + i] = (matrix.data[i] ?? 0) + 1e-9 * value;
    });
  }
  const before = matrix.data.slice();
  const lower = orthonormalizeRows(matrix);
  assertOrthonormal(matrix, 4);
  expect(largestDifference(multiply(lower, matrix).data, before)).toBeLessThan(1e-14);
});

test("svd() refuses what would take hours", () => {
  expect(() => svd(zeros(2049, 3000))).toThrow("by 2,049 vectors, the limit is 2,048: lower the rank");
  expect(() => svdOfProduct(zeros(2049, 2), zeros(2049, 2))).toThrow("by 2,049 vectors");
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])("svd() refuses %d", (value) => {
  const matrix = random(3, 4, 9);
  matrix.data[5] = value;
  expect(() => svd(matrix)).toThrow("Cannot decompose a matrix with NaN or infinite elements");
});
