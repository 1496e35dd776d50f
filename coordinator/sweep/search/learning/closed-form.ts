import { CholeskyDecomposition, Matrix as Dense } from "ml-matrix";
import { addScaled, dot, type Matrix, multiply, zeros } from "../../../../shared/linalg/matrix.js";

/** A linear layer of the experts, and the inputs that each task gives it. */
export interface LayerProblem {
  /** τ_k of each expert: outputs × inputs. */
  readonly taskVectors: readonly Matrix[];
  /** C_k = X_kᵀ X_k of the layer's inputs X_k on each expert's own task: inputs × inputs. Sums over examples or their mean. */
  readonly grams: readonly Matrix[];
  /** Where the coefficients are drawn to. */
  readonly prior: Float64Array;
  /** How strongly, beside the mean diagonal of A. @default 0.01 */
  readonly gamma?: number;
}

/** A λ = b, the conditions of the minimum, as sums over tasks. */
export interface NormalEquations {
  readonly a: Matrix;
  readonly b: Float64Array;
}

/**
 * Coefficients λ for which a layer W_0 + Σ λ_i τ_i reproduces each expert's outputs on its own task's inputs:
 * min Σ_k β_k |X_k (Σ_i λ_i τ_i − τ_k)ᵀ|² + γ |λ − prior|², in closed form, from inputs' Gram matrices alone. β_k is the
 * inverse of |X_k τ_kᵀ|², so that experts that moved far do not drown the others. It is RegMean's problem (Jin et al. 2023)
 * for a few numbers in place of a matrix.
 */
export function coefficientsOfLayer({ taskVectors, grams, prior, gamma = 0.01 }: LayerProblem): Float64Array {
  const { a, b } = normalEquations(taskVectors, grams);
  const count = taskVectors.length;
  let trace = 0;
  for (let i = 0; i < count; i += 1) trace += a.data[i * count + i] ?? 0;
  // Without any inputs, or where no expert moved, the prior stands.
  if (trace === 0) return prior.slice();
  const pull = (gamma * trace) / count;
  const damped = new Dense(count, count);
  for (let i = 0; i < count; i += 1) {
    for (let j = 0; j < count; j += 1) damped.set(i, j, (a.data[i * count + j] ?? 0) + (i === j ? pull : 0));
  }
  const right = b.slice();
  addScaled(right, pull, prior);
  const factors = new CholeskyDecomposition(damped);
  return Float64Array.from(factors.solve(Dense.columnVector(Array.from(right))).to1DArray());
}

/** A_ij = Σ_k β_k tr(τ_i C_k τ_jᵀ), b_i = Σ_k β_k tr(τ_i C_k τ_kᵀ). */
export function normalEquations(taskVectors: readonly Matrix[], grams: readonly Matrix[]): NormalEquations {
  const count = taskVectors.length;
  const a = zeros(count, count);
  const b = new Float64Array(count);
  for (const [k, gram] of grams.entries()) {
    const seen = taskVectors.map((vector) => multiply(vector, gram));
    const own = taskVectors[k];
    const moved = own === undefined ? 0 : dot(seen[k]?.data ?? own.data, own.data);
    if (own === undefined || moved === 0) continue;
    for (const [i, vector] of seen.entries()) {
      for (const [j, other] of taskVectors.slice(0, i + 1).entries()) {
        const sum = (a.data[i * count + j] ?? 0) + dot(vector.data, other.data) / moved;
        // Symmetric to the last bit, as a factorization wants it.
        a.data[i * count + j] = sum;
        a.data[j * count + i] = sum;
      }
      b[i] = (b[i] ?? 0) + dot(vector.data, own.data) / moved;
    }
  }
  return { a, b };
}
