import { dot, type Matrix, rowOf, scale, zeros } from "./matrix.js";

/** A direction that is this small beside the longest row is what rounding left of those before it. */
const negligible = 1e-13;

/** Rows that are taken together, so that a long vector is read from memory once for all of them. */
const atOnce = 4;

/**
 * Replaces the rows of a matrix by orthonormal ones, Q, and returns the lower triangular L with the matrix = L Q. Rows that
 * depend on those before them become zero rows of Q. Classical Gram–Schmidt, each row twice, which is enough for full
 * precision (Giraud, Langou & Rozložník 2005).
 */
export function orthonormalizeRows(matrix: Matrix): Matrix {
  const { rows } = matrix;
  const triangle = zeros(rows, rows);
  let longest = 0;
  for (let row = 0; row < rows; row += 1) longest = Math.max(longest, norm(rowOf(matrix, row)));
  for (let row = 0; row < rows; row += 1) {
    const vector = rowOf(matrix, row);
    const coefficients = rowOf(triangle, row);
    removeDirections(vector, matrix, row, coefficients);
    removeDirections(vector, matrix, row, coefficients);
    const length = norm(vector);
    const isNew = length > negligible * longest;
    coefficients[row] = isNew ? length : 0;
    scale(vector, isNew ? 1 / length : 0);
  }
  return triangle;
}

/** Takes the first `count` rows' directions out of a vector, and adds how much there was of each to `coefficients`. */
function removeDirections(vector: Float64Array, matrix: Matrix, count: number, coefficients: Float64Array): void {
  const { columns, data } = matrix;
  const along = new Float64Array(Math.ceil(count / atOnce) * atOnce);
  for (let first = 0; first < count; first += atOnce) {
    const [r0, r1, r2, r3] = placesOf(first, count, columns);
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let i = 0; i < columns; i += 1) {
      const element = vector[i] ?? 0;
      s0 += element * (data[r0 + i] ?? 0);
      s1 += element * (data[r1 + i] ?? 0);
      s2 += element * (data[r2 + i] ?? 0);
      s3 += element * (data[r3 + i] ?? 0);
    }
    along.set([s0, s1, s2, s3], first);
  }
  // Beyond the last row the last is read again, and counts for nothing.
  along.fill(0, count);
  for (let first = 0; first < count; first += atOnce) {
    const [r0, r1, r2, r3] = placesOf(first, count, columns);
    const [a0 = 0, a1 = 0, a2 = 0, a3 = 0] = along.subarray(first, first + atOnce);
    for (let i = 0; i < columns; i += 1) {
      const taken = a0 * (data[r0 + i] ?? 0) + a1 * (data[r1 + i] ?? 0) + a2 * (data[r2 + i] ?? 0);
      vector[i] = (vector[i] ?? 0) - (taken + a3 * (data[r3 + i] ?? 0));
    }
  }
  for (let i = 0; i < count; i += 1) coefficients[i] = (coefficients[i] ?? 0) + (along[i] ?? 0);
}

function placesOf(first: number, count: number, columns: number): readonly [number, number, number, number] {
  const place = (row: number): number => Math.min(row, count - 1) * columns;
  return [place(first), place(first + 1), place(first + 2), place(first + 3)];
}

function norm(vector: Float64Array): number {
  return Math.sqrt(dot(vector, vector));
}
