import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import { philox4x32, type RandomKey, randomKey } from "../../shared/expression/random.js";
import { type Matrix, multiply, rowOf, zeros } from "../../shared/linalg/matrix.js";
import { orthonormalizeRows } from "../../shared/linalg/orthonormalize.js";
import { assertVectors, type Svd, svd, truncate, withSigns } from "../../shared/linalg/svd.js";
import type { TileMemory } from "../compute/wasm/memory.js";
import type { MatrixRows } from "./matrix-rows.js";
import { ThinProducts } from "./thin-products.js";

/** Vectors beyond those that are wanted, as a share of them and at least: the last ones are not accurate. */
const oversampling = { share: 0.5, least: 16 } as const;
/** Each takes the singular values to two more powers, and so apart. */
const powerIterations = 4;
/** A side up to which the whole matrix is decomposed, to f64 precision. */
const exactSide = 256;

export interface Wanted {
  /** At most so many singular values, and no more than the matrix has. */
  readonly rank: number;
  /** Only values above it. */
  readonly epsilon: number;
}

/** What a decomposition needs of the worker that it runs on. */
export interface Environment {
  readonly memory: TileMemory;
  /** Hears how many rows were read; may throw to stop. */
  readonly onRows: (rows: number) => void;
}

/**
 * The largest singular values of a matrix and their vectors. Exact where one side is short or almost all values are
 * wanted; otherwise by randomized subspace iteration (Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.1), started
 * from normal numbers that `name` alone decides. Equal matrices under equal names give equal bits, on every machine.
 */
export function decompose(name: string, matrix: MatrixRows, wanted: Wanted, environment: Environment): Svd {
  const shorter = Math.min(matrix.rows, matrix.columns);
  const rank = Math.min(wanted.rank, shorter);
  const vectors = rank + Math.max(oversampling.least, Math.ceil(rank * oversampling.share));
  const isExact = shorter <= exactSide || vectors >= shorter;
  assertFits(matrix, isExact ? shorter : vectors, environment.memory.budgetBytes);
  const found = isExact ? decomposeWhole(matrix, environment) : iterate(name, matrix, vectors, environment);
  const above = found.values.findIndex((value) => !(value > wanted.epsilon));
  return truncate(found, Math.min(rank, above < 0 ? rank : above));
}

/** `vectors` of each side are held in f64, twice while they are made orthonormal; the products' memory counts itself. */
function assertFits({ rows, columns }: MatrixRows, vectors: number, budgetBytes: number): void {
  assertVectors(vectors);
  const needed = 2 * vectors * (rows + columns) * Float64Array.BYTES_PER_ELEMENT;
  if (needed <= budgetBytes) return;
  const hold = `it takes ${formatBytes(needed)} and this worker may use ${formatBytes(budgetBytes)}`;
  throw new AmalgamError(
    "out_of_memory",
    `Cannot hold ${vectors} vectors of ${rows} × ${columns}: ${hold}; raise --memory`,
  );
}

function decomposeWhole(matrix: MatrixRows, { onRows }: Environment): Svd {
  const { rows, columns } = matrix;
  const whole = zeros(rows, columns);
  const atOnce = Math.max(1, Math.floor(65_536 / columns));
  const values = new Float32Array(atOnce * columns);
  for (let first = 0; first < rows; first += atOnce) {
    const count = Math.min(atOnce, rows - first);
    matrix.read(first, count, values, columns);
    whole.data.set(values.subarray(0, count * columns), first * columns);
    onRows(count);
  }
  return svd(whole);
}

function iterate(name: string, matrix: MatrixRows, vectors: number, { memory, onRows }: Environment): Svd {
  const products = new ThinProducts(matrix, memory, onRows);
  let range = products.times(normals(name, vectors, matrix.columns));
  orthonormalizeRows(range);
  for (let iteration = 0; iteration < powerIterations; iteration += 1) {
    const corange = products.transposedTimes(range);
    orthonormalizeRows(corange);
    range = products.times(corange);
    orthonormalizeRows(range);
  }
  // M ≈ Q (Qᵀ M), and what is in the brackets is small.
  const { values, left, right } = svd(products.transposedTimes(range));
  return withSigns({ values, left: multiply(left, range), right });
}

/** Standard normal numbers, by Box and Muller's method. */
function normals(name: string, rows: number, columns: number): Matrix {
  const key: RandomKey = randomKey(0, name, 0);
  const result = zeros(rows, columns);
  for (let row = 0; row < rows; row += 1) {
    const vector = rowOf(result, row);
    for (let i = 0; i < columns; i += 4) {
      const [w0, w1, w2, w3] = philox4x32([i / 4, 0, row, 0], key);
      vector.set([...pair(w0, w1), ...pair(w2, w3)].slice(0, columns - i), i);
    }
  }
  return result;
}

function pair(first: number, second: number): readonly [number, number] {
  const radius = Math.sqrt(-2 * Math.log((first + 0.5) * 2 ** -32));
  const angle = 2 * Math.PI * (second + 0.5) * 2 ** -32;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}
