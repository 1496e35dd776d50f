import { type Expression, sum, where } from "../expression/expression.js";
import { boolean, choice, number } from "./parameter.js";

/**
 * What the task-arithmetic family shares (mergekit's "generalised task arithmetic"): task vectors are sparsified,
 * weighted, perhaps put to a vote of signs, summed, and added to the base. The members differ in how they sparsify,
 * in whether they vote, and in two defaults.
 */
export interface TaskVector {
  /** θ_t − θ_0, sparsified or not. */
  readonly delta: Expression;
  readonly weight: Expression;
}

/** base + λ · Σ wₜ τₜ; with `normalize`, divided by Σ wₜ first (unless that is too small to divide by). */
export function addTaskVectors(
  base: Expression,
  taskVectors: readonly TaskVector[],
  options: { lambda: Expression; normalize: boolean },
): Expression {
  const mixed = sum(taskVectors.map(({ delta, weight }) => delta.times(weight)));
  const total = sum(taskVectors.map(({ weight }) => weight));
  const divisor = where(total.abs().isBelow(1e-8), 1, total);
  return base.plus((options.normalize ? mixed.over(divisor) : mixed).times(options.lambda));
}

/**
 * As {@link addTaskVectors}, but per parameter only those task vectors count whose sign is the elected one: the sign
 * of the weighted sum, + on a tie (TIES-Merging, section 4: "elect", "disjoint merge"; weights apply before the
 * election, as in mergekit). With `normalize`, the divisor is the weight of those that agree.
 */
export function addAgreeingTaskVectors(
  base: Expression,
  taskVectors: readonly TaskVector[],
  options: { lambda: Expression; normalize: boolean },
): Expression {
  const weighted = taskVectors.map(({ delta, weight }) => delta.times(weight));
  const agrees = agreements(weighted);
  const mixed = sum(weighted.map((term, t) => where(agrees[t] as Expression, term, 0)));
  const weight = sum(taskVectors.map((taskVector, t) => where(agrees[t] as Expression, taskVector.weight, 0)));
  const divisor = where(weight.equals(0), 1, weight);
  return base.plus((options.normalize ? mixed.over(divisor) : mixed).times(options.lambda));
}

/** Which terms have the sign of their sum, per element. A sum of 0 elects +, and a 0 agrees with nothing. */
export function agreements(terms: readonly Expression[]): readonly Expression[] {
  const elected = where(sum(terms).isAtLeast(0), 1, -1);
  return terms.map((term) => term.times(elected).isAbove(0));
}

/**
 * Keeps the `density` share of largest magnitudes and zeroes the rest: ⌊density · n⌋ elements, but at least one, so
 * that a small tensor is never wiped out. Elements that tie with the smallest kept one are kept too (as in the TIES
 * authors' code; an arbitrary choice among equals would depend on their order).
 */
export function keepLargest(x: Expression, density: Density, scope: "tensor" | "model"): Expression {
  if (density === undefined) return x;
  const share = density.times(x.countOver(scope)).floor();
  const k = where(density.isAbove(0), share.atLeast(1), 0);
  return where(x.abs().isBelow(x.kthMagnitude(scope, k)), 0, x);
}

/** Keeps each element with probability `density`, independently (DARE's drop, p = 1 − density). */
export function keepRandomly(x: Expression, density: Density, stream: number): Expression {
  if (density === undefined) return x;
  return where(x.uniform(stream).isBelow(density), x, 0);
}

/** The share of a task vector that is kept; undefined for all of it. */
export type Density = Expression | undefined;

export type Rescale = "none" | "l1" | "inverse";

/** Makes up for what a sparsifier took away: back to the tensor's L1 norm (mergekit), or by 1/density (DARE's paper). */
export function rescaled(kept: Expression, original: Expression, density: Density, how: Rescale): Expression {
  if (how === "none" || density === undefined) return kept;
  if (how === "inverse") return where(density.isAbove(0), kept.over(density), kept);
  const before = original.abs().sumOver("tensor");
  const after = kept.abs().sumOver("tensor");
  const negligible = before.isBelow(1e-7).or(after.isBelow(1e-7));
  return kept.times(where(negligible, 1, before.over(after)));
}

/** Parameters that the family shares; `rescale` and `normalize` have a default per method. */
export const weight = number({ help: "how much of the model's task vector is added" });
export const density = number({
  default: 1,
  neutral: 1,
  min: 0,
  max: 1,
  help: "share of the task vector that is kept",
});
export const lambda = number({ default: 1, help: "scales the merged task vector" });
export const normalize = (byDefault: boolean) =>
  boolean({ default: byDefault, help: "divide by the sum of the weights that take part" });
export const rescale = (byDefault: Rescale) =>
  choice({
    choices: ["none", "l1", "inverse"],
    default: byDefault,
    booleans: { true: "l1", false: "none" },
    help: "after dropping: restore the tensor's L1 norm (l1, true), divide by the density (inverse), or neither (none, false)",
  });

export const inert = {
  int8_mask: "sign masks live in registers here and take no memory",
} as const;
