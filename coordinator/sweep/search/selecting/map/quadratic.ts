import { CholeskyDecomposition, Matrix, QrDecomposition, solve } from "ml-matrix";
import type { Link } from "./link.js";

/**
 * The terms of a quadratic at x: x_i², then x_i x_j for i < j, then x_i, then 1. For n variables (n + 1)(n + 2) / 2
 * numbers, in the order of Li et al. 2024, section 3.
 */
export function quadraticTerms(x: readonly number[]): number[] {
  const squares = x.map((value) => value * value);
  const products = x.flatMap((value, i) => x.slice(i + 1).map((other) => value * other));
  return [...squares, ...products, ...x, 1];
}

/** How many unknowns a quadratic of so many variables has. */
export function quadraticTermCount(variables: number): number {
  return ((variables + 1) * (variables + 2)) / 2;
}

/** The coefficients by what they belong to, for people. */
export function namedCoefficients(coefficients: readonly number[], variables: number) {
  const products = variables + (variables * (variables - 1)) / 2;
  return {
    squares: coefficients.slice(0, variables),
    products: coefficients.slice(variables, products),
    linear: coefficients.slice(products, products + variables),
    constant: coefficients.at(-1) ?? 0,
  };
}

const maxIterations = 200;
const firstDamping = 1e-3;
const largestDamping = 1e12;
/** Of the sum of squares from one iteration to the next. */
const smallestDecrease = 1e-12;

/**
 * Coefficients w for which link(terms(x) · w) is nearest to y in least squares: linear for the identity, else
 * Levenberg-Marquardt (Marquardt 1963) from the linear fit to link⁻¹(y). Where x does not decide all of w, as it does not
 * with too few or repeated points, the linear fit is the shortest one.
 */
export function fitQuadratic(x: readonly (readonly number[])[], y: readonly number[], link: Link): number[] {
  const terms = x.map((one) => Float64Array.from(quadraticTerms(one)));
  const linear = leastSquares(terms, y.map(link.inverse));
  return link.name === "identity" ? linear : levenbergMarquardt(terms, y, link, linear);
}

type Rows = readonly Float64Array[];

function leastSquares(terms: Rows, y: readonly number[]): number[] {
  const columns = terms[0]?.length ?? 0;
  // Equations 0 = 0 change nothing, and the decompositions want as many equations as unknowns.
  const rows = Math.max(terms.length, columns);
  const left = Matrix.zeros(rows, columns).setSubMatrix([...terms], 0, 0);
  const right = Matrix.columnVector(Array.from({ length: rows }, (_, row) => y[row] ?? 0));
  const qr = new QrDecomposition(left);
  return (qr.isFullRank() ? qr.solve(right) : solve(left, right, true)).to1DArray();
}

function levenbergMarquardt(terms: Rows, y: readonly number[], link: Link, start: readonly number[]): number[] {
  let coefficients = start;
  let residuals = residualsAt(coefficients);
  let equations = normalEquations(terms, coefficients, residuals, link);
  let damping = firstDamping;
  for (let i = 0; i < maxIterations && damping < largestDamping; i += 1) {
    const step = dampedStep(equations, damping);
    const next = coefficients.map((value, j) => value + (step[j] ?? 0));
    const nextResiduals = residualsAt(next);
    const [before, after] = [sumOfSquares(residuals), sumOfSquares(nextResiduals)];
    if (!(after < before)) {
      damping *= 4;
      continue;
    }
    [coefficients, residuals] = [next, nextResiduals];
    damping /= 3;
    if (before - after <= smallestDecrease * before) break;
    equations = normalEquations(terms, coefficients, residuals, link);
  }
  return [...coefficients];

  function residualsAt(at: readonly number[]): number[] {
    return terms.map((row, i) => (y[i] ?? 0) - link.value(dot(row, at)));
  }
}

interface NormalEquations {
  /** JᵀJ, the lower triangle. */
  readonly matrix: Rows;
  /** Jᵀr */
  readonly right: Float64Array;
}

function normalEquations(
  terms: Rows,
  coefficients: readonly number[],
  residuals: readonly number[],
  link: Link,
): NormalEquations {
  const size = coefficients.length;
  const matrix = Array.from({ length: size }, (_, i) => new Float64Array(i + 1));
  const right = new Float64Array(size);
  for (const [place, row] of terms.entries()) {
    const slope = link.slope(dot(row, coefficients));
    for (const [i, sums] of matrix.entries()) {
      const scaled = slope * (row[i] ?? 0);
      right[i] = (right[i] ?? 0) + scaled * (residuals[place] ?? 0);
      for (let j = 0; j <= i; j += 1) sums[j] = (sums[j] ?? 0) + scaled * slope * (row[j] ?? 0);
    }
  }
  return { matrix, right };
}

/** δ of (JᵀJ + damping · diag JᵀJ) δ = Jᵀr; nothing where rounding leaves that without a solution. */
function dampedStep({ matrix, right }: NormalEquations, damping: number): readonly number[] {
  const largest = Math.max(...matrix.map((row, i) => row[i] ?? 0), Number.MIN_VALUE);
  const damped = Matrix.zeros(matrix.length, matrix.length);
  for (const [i, row] of matrix.entries()) {
    for (const [j, value] of row.entries()) {
      const ridge = i === j ? damping * value + largest * 1e-14 : 0;
      damped.set(i, j, value + ridge);
      damped.set(j, i, value + ridge);
    }
  }
  const cholesky = new CholeskyDecomposition(damped);
  return cholesky.isPositiveDefinite() ? cholesky.solve(Matrix.columnVector(right)).to1DArray() : [];
}

function dot(row: Float64Array, coefficients: readonly number[]): number {
  return row.reduce((sum, term, i) => sum + term * (coefficients[i] ?? 0), 0);
}

function sumOfSquares(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
