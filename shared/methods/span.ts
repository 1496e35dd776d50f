import { dot, type Expression, sum } from "../expression/expression.js";
import type { Scope } from "../expression/program.js";

/**
 * The linear combinations of some tensors, each as its coefficients. Lengths and inner products of combinations follow
 * from the inner products of the tensors, which one pass over the data gathers: however many steps a method takes from
 * there, they are arithmetic on a few f64 numbers, and only the last combination is worked out element by element.
 */
export class Span {
  readonly #tensors: readonly Expression[];
  readonly #scope: Scope;

  constructor(tensors: readonly Expression[], scope: Scope) {
    this.#tensors = tensors;
    this.#scope = scope;
  }

  /** x · Σ cᵢ xᵢ, for one of the tensors x. */
  dot(tensor: Expression, coefficients: readonly Expression[]): Expression {
    return sum(this.#tensors.map((other, i) => at(coefficients, i).times(this.#product(tensor, other))));
  }

  /** ‖Σ cᵢ xᵢ‖ */
  length(coefficients: readonly Expression[]): Expression {
    const square = sum(this.#tensors.map((tensor, i) => at(coefficients, i).times(this.dot(tensor, coefficients))));
    // Rounding may leave the square of a short vector a little below zero.
    return square.atLeast(0).sqrt();
  }

  /** Σ cᵢ xᵢ */
  combine(coefficients: readonly Expression[]): Expression {
    return sum(this.#tensors.map((tensor, i) => tensor.times(at(coefficients, i))));
  }

  /** In one order of factors, so that x · y and y · x are gathered once. */
  #product(a: Expression, b: Expression): Expression {
    return a.id <= b.id ? dot(a, b, this.#scope) : dot(b, a, this.#scope);
  }
}

/**
 * Angles and lengths, relative to unit vectors, that are too small to tell from zero: the inner products of f32 numbers
 * are good to about 2⁻²³, and sines and lengths are square roots of differences of these.
 */
export const resolution = 2 ** -11.5;

/** A cosine that rounding may have pushed past ±1. */
export function clampCosine(cosine: Expression): Expression {
  return cosine.atMost(1).atLeast(-1);
}

function at(coefficients: readonly Expression[], i: number): Expression {
  const coefficient = coefficients[i];
  if (coefficient === undefined) throw new TypeError(`A combination needs ${i + 1} coefficients or more`);
  return coefficient;
}
