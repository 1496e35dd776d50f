import { dot, type Matrix, zeros } from "../../../shared/linalg/matrix.js";
import type { LayerMoments } from "./types.js";

/**
 * ⟨X τ_iᵀ, X τ_jᵀ⟩ for inputs X [rows × in] of a linear layer and task vectors τ [out × in] of its matrix. The outputs are
 * made, not the Gram matrix XᵀX: there are fewer rows than inputs.
 */
export function layerProducts(inputs: Matrix, taskVectors: readonly Matrix[]): LayerMoments["products"] {
  const outputs = taskVectors.map((vector) => multiplyByTransposed(inputs, vector).data);
  const lower = outputs.map((a, i) => outputs.slice(0, i + 1).map((b) => dot(a, b)));
  return lower.map((row, i) => lower.map((other, j) => (j <= i ? row[j] : other[i]) ?? 0));
}

/** A Bᵀ: both are walked along their rows, four of B's at a time, so that each number of A is read once for four. */
function multiplyByTransposed(a: Matrix, b: Matrix): Matrix {
  const [width, x, y] = [a.columns, a.data, b.data];
  if (width !== b.columns) throw new RangeError(`Cannot multiply rows of ${width} by rows of ${b.columns}`);
  const result = zeros(a.rows, b.rows);
  for (let column = 0; column < b.rows; column += 4) {
    // Behind the last row, the last row again.
    const rowAt = (k: number): number => width * Math.min(column + k, b.rows - 1);
    const [first, second] = [rowAt(0), rowAt(1)];
    const [third, fourth] = [rowAt(2), rowAt(3)];
    for (let row = 0; row < a.rows; row += 1) {
      const from = row * width;
      let sum1 = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      for (let k = 0; k < width; k += 1) {
        const value = x[from + k] as number;
        sum1 += value * (y[first + k] as number);
        sum2 += value * (y[second + k] as number);
        sum3 += value * (y[third + k] as number);
        sum4 += value * (y[fourth + k] as number);
      }
      const sums = [sum1, sum2, sum3, sum4];
      for (let k = 0; k < 4 && column + k < b.rows; k += 1) result.data[row * b.rows + column + k] = sums[k] ?? 0;
    }
  }
  return result;
}
