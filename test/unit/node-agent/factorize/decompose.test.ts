import { expect, test } from "vitest";
import { TileMemory } from "../../../../node-agent/compute/wasm/memory.js";
import { decompose } from "../../../../node-agent/factorize/decompose.js";
import { differenceRows, type MatrixRows } from "../../../../node-agent/factorize/matrix-rows.js";
import { narrow } from "../../../../shared/checkpoint/convert.js";
import { addScaled, dot, type Matrix, multiply, rowOf, transpose, zeros } from "../../../../shared/linalg/matrix.js";
import { orthonormalizeRows } from "../../../../shared/linalg/orthonormalize.js";
import type { Svd } from "../../../../shared/linalg/svd.js";
import { normals, seeded } from "../../../support/random.js";

/** A matrix whose singular values are the ones given, and the sum of its first terms. */
function withValues(rows: number, columns: number, values: readonly number[], seed: number) {
  const random = seeded(seed);
  const basis = (length: number): Matrix => {
    const data = Float64Array.from(normals(values.length * length, random));
    const vectors = { rows: values.length, columns: length, data };
    orthonormalizeRows(vectors);
    return vectors;
  };
  const [left, right] = [basis(rows), basis(columns)];
  const sumOfFirst = (rank: number): Matrix => {
    const sum = zeros(rows, columns);
    for (let k = 0; k < rank; k += 1) {
      for (let row = 0; row < rows; row += 1) {
        addScaled(rowOf(sum, row), (values[k] ?? 0) * (left.data[k * rows + row] ?? 0), rowOf(right, k));
      }
    }
    return sum;
  };
  return { matrix: sumOfFirst(values.length), best: sumOfFirst };
}

function rowsOf({ rows, columns, data }: Matrix): MatrixRows {
  return {
    rows,
    columns,
    read(first, count, into, stride) {
      for (let row = 0; row < count; row += 1) {
        into.set(data.subarray((first + row) * columns, (first + row + 1) * columns), row * stride);
      }
    },
  };
}

function productOf({ values, left, right }: Svd): Matrix {
  const scaled = { ...left, data: left.data.slice() };
  values.forEach((value, k) => {
    const vector = rowOf(scaled, k);
    addScaled(vector, value - 1, vector.slice());
  });
  return multiply(transpose(scaled), right);
}

function relativeError(a: Matrix, b: Matrix): number {
  const difference = a.data.map((value, i) => value - (b.data[i] ?? 0));
  return Math.sqrt(dot(difference, difference) / dot(b.data, b.data));
}

const environment = () => ({ memory: new TileMemory(1 << 26), onRows: () => undefined });
const falling = Array.from({ length: 300 }, (_, k) => 0.8 ** k);

test.each([
  ["by subspace iteration, wide", 300, 421],
  ["by subspace iteration, tall", 421, 301],
  ["whole, wide", 100, 333],
  ["whole, tall", 333, 100],
])("decompose() finds the nearest matrix of a rank: %s", (_, rows, columns) => {
  const { matrix, best } = withValues(rows, columns, falling.slice(0, Math.min(rows, columns)), rows);
  const found = decompose("a", rowsOf(matrix), { rank: 24, epsilon: 0 }, environment());
  expect(found.values.length).toBe(24);
  expect(relativeError(productOf(found), best(24))).toBeLessThan(1e-4);
  found.values.forEach((value, k) => {
    expect(value / 0.8 ** k).toBeCloseTo(1, 4);
  });
});

test("decompose() gives back a matrix of low rank", () => {
  const { matrix } = withValues(400, 500, [3, 2, 1, 0.001], 5);
  const found = decompose("a", rowsOf(matrix), { rank: 4, epsilon: 0 }, environment());
  expect(relativeError(productOf(found), matrix)).toBeLessThan(3e-6);
});

test("decompose() has orthonormal vectors, the largest element of each left one positive", () => {
  const { matrix } = withValues(300, 310, falling, 6);
  const { left, right } = decompose("a", rowsOf(matrix), { rank: 8, epsilon: 0 }, environment());
  for (const vectors of [left, right]) {
    for (let i = 0; i < 8; i += 1) {
      for (let j = 0; j <= i; j += 1) {
        expect(dot(rowOf(vectors, i), rowOf(vectors, j))).toBeCloseTo(i === j ? 1 : 0, 10);
      }
    }
  }
  for (let i = 0; i < 8; i += 1) {
    const vector = rowOf(left, i);
    expect(Math.max(...vector)).toBe(Math.max(...vector.map(Math.abs)));
  }
});

test("decompose() gives equal bits for equal names and matrices, whatever the memory held before", () => {
  const { matrix } = withValues(300, 310, falling, 7);
  const used = environment();
  decompose("b", rowsOf(withValues(310, 300, falling, 8).matrix), { rank: 30, epsilon: 0 }, used);
  const [first, second] = [environment(), used].map((each) =>
    decompose("a", rowsOf(matrix), { rank: 10, epsilon: 0 }, each),
  );
  expect(second).toEqual(first);
});

test("decompose() leaves out values that are not above epsilon, and zero itself", () => {
  const { matrix } = withValues(300, 310, [8, 4, 2, 1], 9);
  const decomposed = decompose("a", rowsOf(matrix), { rank: 10, epsilon: 1.5 }, environment());
  expect([...decomposed.values].map(Math.round)).toEqual([8, 4, 2]);
  const ofZero = decompose("a", rowsOf(zeros(300, 310)), { rank: 10, epsilon: 0 }, environment());
  expect([ofZero.values.length, ofZero.left.rows, ofZero.right.rows]).toEqual([0, 0, 0]);
});

test("decompose() refuses NaN and what its memory cannot hold", () => {
  const { matrix } = withValues(300, 310, falling, 10);
  const small = { ...environment(), memory: new TileMemory(1 << 17) };
  expect(() => decompose("a", rowsOf(matrix), { rank: 8, epsilon: 0 }, small)).toThrow(/Cannot hold .*raise --memory/);
  matrix.data[77] = Number.NaN;
  expect(() => decompose("a", rowsOf(matrix), { rank: 8, epsilon: 0 }, environment())).toThrow(/NaN or infinite/);
});

test("differenceRows() subtracts what is stored in other dtypes, rounding once", () => {
  const [values, taken] = [
    [1, 2, 3, 4, 5, 6],
    [0.5, 1, 1.5, -2, -2.5, 0],
  ];
  const files = [narrow("BF16", Float32Array.from(values)), new Uint8Array(Float64Array.from(taken).buffer)];
  const read = (file: number, into: Uint8Array, position: number): void => {
    into.set(files[file]?.subarray(position, position + into.length) ?? []);
  };
  const shape = { rows: 3, columns: 2 };
  const rows = differenceRows(shape, { file: 0, offset: 0, dtype: "BF16" }, { file: 1, offset: 0, dtype: "F64" }, read);
  const into = new Float32Array(8).fill(9);
  rows.read(1, 2, into, 4);
  expect([...into]).toEqual([1.5, 6, 9, 9, 7.5, 6, 9, 9]);
});
