import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import type { Random } from "../random.js";

// Names follow Hansen 2016, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772); n is the number of dimensions, λ
// of points in a generation, μ of those that count.

/** What the strategy learns at: table 1 of the tutorial. */
export interface Rates {
  /** Of the better half, best first; they sum to 1. */
  readonly weights: readonly number[];
  /** Of the others, down to the worst: C shrinks where they are (active CMA, Jastrebski and Arnold 2006). */
  readonly negativeWeights: readonly number[];
  readonly muEff: number;
  readonly cSigma: number;
  readonly dSigma: number;
  readonly cC: number;
  readonly c1: number;
  readonly cMu: number;
  /** E‖N(0, I)‖ */
  readonly chi: number;
}

/** `separable`: a diagonal has fewer numbers to learn and learns them (n + 2)/3 times as fast (Ros and Hansen 2008, eq. 5). */
export function ratesOf(n: number, lambda: number, separable: boolean): Rates {
  const mu = Math.floor(lambda / 2);
  const raw = Array.from({ length: lambda }, (_, i) => Math.log((lambda + 1) / 2) - Math.log(i + 1));
  const [better, worse] = [raw.slice(0, mu), raw.slice(mu)];
  const weights = better.map((weight) => weight / sum(better));
  const muEff = 1 / sum(weights.map((weight) => weight ** 2));
  const cSigma = (muEff + 2) / (n + muEff + 5);
  const faster = separable ? (n + 2) / 3 : 1;
  const c1 = Math.min(1, (faster * 2) / ((n + 1.3) ** 2 + muEff));
  const cMu = Math.min(1 - c1, (faster * 2 * (muEff - 2 + 1 / muEff)) / ((n + 2) ** 2 + muEff));
  const muEffWorse = sum(worse) ** 2 / sum(worse.map((weight) => weight ** 2));
  // The last bound keeps C positive definite; c_μ is 0 for the smallest of populations.
  const least = Math.min(1 + c1 / cMu, 1 + (2 * muEffWorse) / (muEff + 2), (1 - c1 - cMu) / (n * cMu));
  return {
    ...{ weights, muEff, cSigma, c1, cMu },
    negativeWeights: cMu > 0 ? worse.map((weight) => (-least * weight) / sum(worse)) : worse.map(() => 0),
    dSigma: 1 + 2 * Math.max(0, Math.sqrt((muEff - 1) / (n + 1)) - 1) + cSigma,
    cC: (4 + muEff / n) / (n + 4 + (2 * muEff) / n),
    chi: Math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n ** 2)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The default λ of the tutorial, table 1. */
export function defaultPopulation(n: number): number {
  return 4 + Math.floor(3 * Math.log(n));
}

/** A normal distribution that is drawn to where its better points are, and takes on the shape of the steps that got there. */
export class CovarianceAdaptation {
  readonly rates: Rates;
  readonly mean: Float64Array;
  sigma: number;
  readonly #separable: boolean;
  /** C, and with `separable` its diagonal alone, as a matrix of one row. */
  readonly #covariance: Matrix;
  /** C = B D² Bᵀ; no B with `separable`. */
  #axes: Matrix | undefined;
  #lengths: Float64Array;
  readonly #pathSigma: Float64Array;
  readonly #pathC: Float64Array;
  #generation = 0;
  #decomposed = 0;

  constructor(start: readonly number[], sigma: number, lambda: number, separable: boolean) {
    const n = start.length;
    this.rates = ratesOf(n, lambda, separable);
    this.mean = Float64Array.from(start);
    this.sigma = sigma;
    this.#separable = separable;
    this.#covariance = separable ? Matrix.ones(1, n) : Matrix.eye(n);
    this.#axes = separable ? undefined : Matrix.eye(n);
    this.#lengths = new Float64Array(n).fill(1);
    this.#pathSigma = new Float64Array(n);
    this.#pathC = new Float64Array(n);
  }

  /** x = m + σ B D z */
  sample(random: Random): Float64Array {
    const z = this.#lengths.map((length) => length * random.normal());
    const y = this.#axes === undefined ? z : times(this.#axes, z);
    return this.mean.map((m, i) => m + this.sigma * (y[i] ?? 0));
  }

  /** Standard deviation of each coordinate. */
  deviations(): Float64Array {
    return Float64Array.from(this.mean, (_, i) => this.sigma * Math.sqrt(this.#variance(i)));
  }

  /** √ of the largest eigenvalue of C to the smallest. */
  get elongation(): number {
    return Math.max(...this.#lengths) / Math.min(...this.#lengths);
  }

  /** Widens single coordinates to at least these deviations, so that what is rounded goes on being varied. */
  widen(least: readonly (number | undefined)[]): void {
    let changed = false;
    for (const [i, deviation] of least.entries()) {
      const variance = ((deviation ?? 0) / this.sigma) ** 2;
      if (variance <= this.#variance(i)) continue;
      this.#covariance.set(this.#separable ? 0 : i, i, variance);
      changed = true;
    }
    if (changed) this.#decompose();
  }

  /** One generation, best first. Where some have no score it is shorter, and nothing is learnt from the worse half. */
  update(ranked: readonly Float64Array[]): void {
    const { weights, negativeWeights, muEff, cSigma, dSigma, cC, c1, cMu, chi } = this.rates;
    const n = this.mean.length;
    const steps = ranked.map((x) => x.map((value, i) => (value - (this.mean[i] ?? 0)) / this.sigma));
    const better = steps.slice(0, weights.length);
    const total = sum(weights.slice(0, better.length));
    const step = this.mean.map((_, i) => sum(better.map((y, k) => ((weights[k] ?? 0) / total) * (y[i] ?? 0))));
    this.#generation += 1;

    const white = this.#whiten(step);
    blend(this.#pathSigma, 1 - cSigma, white, Math.sqrt(cSigma * (2 - cSigma) * muEff));
    const norm = Math.hypot(...this.#pathSigma);
    const expected = Math.sqrt(1 - (1 - cSigma) ** (2 * this.#generation));
    const h = norm / expected < (1.4 + 2 / (n + 1)) * chi ? 1 : 0;
    blend(this.#pathC, 1 - cC, step, h * Math.sqrt(cC * (2 - cC) * muEff));

    const isWhole = steps.length === weights.length + negativeWeights.length;
    const learnt = better.map((y, k) => ({ y, weight: (weights[k] ?? 0) / total }));
    const kept = 1 - c1 - cMu * (1 + (isWhole ? sum(negativeWeights) : 0)) + (1 - h) * c1 * cC * (2 - cC);
    // However far a bad step went, what it takes away is bounded (eq. 46).
    const unlearnt = steps.slice(weights.length).map((y, k) => {
      const length = Math.max(sum([...this.#whiten(y)].map((value) => value ** 2)), Number.MIN_VALUE);
      return { y, weight: ((negativeWeights[k] ?? 0) * n) / length };
    });
    const all = isWhole ? [...learnt, ...unlearnt] : learnt;
    this.#eachEntry((row, i, j) => {
      const rankOne = (this.#pathC[i] ?? 0) * (this.#pathC[j] ?? 0);
      const rankMu = all.reduce((total, { y, weight }) => total + weight * (y[i] ?? 0) * (y[j] ?? 0), 0);
      this.#covariance.set(row, j, kept * this.#covariance.get(row, j) + c1 * rankOne + cMu * rankMu);
    });
    for (const [i, y] of step.entries()) this.mean[i] = (this.mean[i] ?? 0) + this.sigma * y;
    this.sigma *= Math.exp(Math.min(1, (cSigma / dSigma) * (norm / chi - 1)));
    // Axes that are a little old do no harm, and decomposing costs n³ (tutorial, B.2).
    if (this.#separable || this.#generation - this.#decomposed > 1 / (c1 + cMu) / n / 10) this.#decompose();
  }

  #variance(i: number): number {
    return this.#covariance.get(this.#separable ? 0 : i, i);
  }

  #eachEntry(visit: (row: number, i: number, j: number) => void): void {
    for (const i of this.mean.keys()) {
      if (this.#separable) visit(0, i, i);
      else for (const j of this.mean.keys()) visit(i, i, j);
    }
  }

  /** B D⁻¹ Bᵀ y */
  #whiten(y: Float64Array): Float64Array {
    const along = this.#axes === undefined ? y : times(this.#axes.transpose(), y);
    const scaled = along.map((value, i) => value / (this.#lengths[i] ?? 1));
    return this.#axes === undefined ? scaled : times(this.#axes, scaled);
  }

  #decompose(): void {
    this.#decomposed = this.#generation;
    if (this.#separable) {
      this.#lengths = this.mean.map((_, i) => Math.sqrt(this.#variance(i)));
      return;
    }
    const { eigenvectorMatrix, realEigenvalues } = new EigenvalueDecomposition(this.#covariance, {
      assumeSymmetric: true,
    });
    this.#axes = eigenvectorMatrix;
    // Rounding may take the smallest below 0.
    const least = Math.max(...realEigenvalues) * 1e-20;
    this.#lengths = Float64Array.from(realEigenvalues, (value) => Math.sqrt(Math.max(value, least)));
  }
}

function times(matrix: Matrix, vector: Float64Array): Float64Array {
  return vector.map((_, i) => vector.reduce((sum, value, j) => sum + matrix.get(i, j) * value, 0));
}

/** target ← keep · target + gain · added */
function blend(target: Float64Array, keep: number, added: Float64Array, gain: number): void {
  for (const [i, value] of added.entries()) target[i] = keep * (target[i] ?? 0) + gain * value;
}
