import { Matrix as Dense, SingularValueDecomposition } from "ml-matrix";
import { AmalgamError } from "../errors.js";
import { formatCount } from "../quote.js";
import { firstRows, type Matrix, multiply, rowOf, scale, transpose, zeros } from "./matrix.js";
import { orthonormalizeRows } from "./orthonormalize.js";

/**
 * U diag(σ) Vᵀ with the singular values in falling order. Singular vectors are the rows of `left` (k × m) and `right`
 * (k × n). Their signs are chosen so that the element of largest magnitude of each left vector is positive, the first of
 * equals: so equal inputs have equal factors whatever found them.
 */
export interface Svd {
  readonly values: Float64Array;
  readonly left: Matrix;
  readonly right: Matrix;
}

/** Vectors that a decomposition may have. Its time grows with their cube: half a minute for 1,024, some four for these. */
export const maxVectors = 2_048;

/** Refuses a decomposition that would not come to an end today. */
export function assertVectors(count: number): void {
  if (count <= maxVectors) return;
  const limit = `the limit is ${formatCount(maxVectors)}`;
  throw new AmalgamError(
    "usage",
    `Cannot decompose a matrix by ${formatCount(count)} vectors, ${limit}: lower the rank`,
  );
}

/** The thin SVD of an m × n matrix, k = min(m, n). For small k: the time is O(m n k + k³) with a large constant at k³. */
export function svd(matrix: Matrix): Svd {
  assertVectors(Math.min(matrix.rows, matrix.columns));
  if (matrix.rows > matrix.columns) {
    const { values, left, right } = svdOfWide(transpose(matrix));
    return withSigns({ values, left: right, right: left });
  }
  return withSigns(svdOfWide({ ...matrix, data: matrix.data.slice() }));
}

/**
 * The SVD of leftᵀ · right, from its factors alone: left is r × m, right r × n. Never forms the m × n product. Returns at
 * most r values, those that can be other than zero.
 */
export function svdOfProduct(left: Matrix, right: Matrix): Svd {
  assertVectors(left.rows);
  const [basisOfLeft, basisOfRight] = [copy(left), copy(right)];
  const lowerOfLeft = orthonormalizeRows(basisOfLeft);
  const lowerOfRight = orthonormalizeRows(basisOfRight);
  const core = svdOfSquare(multiply(transpose(lowerOfLeft), lowerOfRight));
  return withSigns({
    values: core.values,
    left: multiply(core.left, basisOfLeft),
    right: multiply(core.right, basisOfRight),
  });
}

/** The first `rank` of everything. */
export function truncate({ values, left, right }: Svd, rank: number): Svd {
  return { values: values.slice(0, rank), left: firstRows(left, rank), right: firstRows(right, rank) };
}

/** Overwrites its argument. A basis of the rows first, so that the decomposition itself is of a k × k matrix. */
function svdOfWide(matrix: Matrix): Svd {
  const { values, left, right } = svdOfSquare(orthonormalizeRows(matrix));
  return { values, left, right: multiply(right, matrix) };
}

function svdOfSquare(matrix: Matrix): Svd {
  const size = matrix.rows;
  if (size === 0) return { values: new Float64Array(0), left: matrix, right: matrix };
  // On which the iteration would never come to an end.
  if (!matrix.data.every(Number.isFinite)) {
    throw new AmalgamError("checkpoint_malformed", "Cannot decompose a matrix with NaN or infinite elements");
  }
  const rows = Array.from({ length: size }, (_, row) => rowOf(matrix, row));
  const { diagonal, leftSingularVectors, rightSingularVectors } = new SingularValueDecomposition(new Dense(rows));
  return {
    values: Float64Array.from(diagonal),
    left: fromColumns(leftSingularVectors, size),
    right: fromColumns(rightSingularVectors, size),
  };
}

function fromColumns(dense: Dense, size: number): Matrix {
  const result = zeros(size, size);
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) result.data[row * size + column] = dense.get(column, row);
  }
  return result;
}

/** Turns the vectors around, in place, as {@link Svd} says they are. */
export function withSigns(decomposition: Svd): Svd {
  const { left, right } = decomposition;
  for (let i = 0; i < left.rows; i += 1) {
    const vector = rowOf(left, i);
    let largest = 0;
    for (const element of vector) if (Math.abs(element) > Math.abs(largest)) largest = element;
    if (largest >= 0) continue;
    scale(vector, -1);
    scale(rowOf(right, i), -1);
  }
  return decomposition;
}

function copy(matrix: Matrix): Matrix {
  return { ...matrix, data: matrix.data.slice() };
}
