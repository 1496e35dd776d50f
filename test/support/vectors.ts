/** Plain f64 vectors, for writing a formula down a second time. */
export type Vector = readonly number[];

export function dot(a: Vector, b: Vector): number {
  return a.reduce((total, x, i) => total + x * (b[i] ?? Number.NaN), 0);
}

export function norm(a: Vector): number {
  return Math.sqrt(dot(a, a));
}

export function times(a: Vector, factor: number): number[] {
  return a.map((x) => x * factor);
}

export function plus(a: Vector, b: Vector): number[] {
  return a.map((x, i) => x + (b[i] ?? Number.NaN));
}

export function minus(a: Vector, b: Vector): number[] {
  return plus(a, times(b, -1));
}

/** Σ weightᵢ vectorᵢ */
export function weightedSum(vectors: readonly Vector[], weights: Vector): number[] {
  return vectors.map((vector, i) => times(vector, weights[i] ?? Number.NaN)).reduce((total, term) => plus(total, term));
}

export function add(numbers: readonly number[]): number {
  return numbers.reduce((total, x) => total + x, 0);
}
