import type { Outcome } from "./searching.js";

/** What of an outcome decides whether it is better than another. */
export type Judged = Pick<Outcome, "losses" | "violation"> & { readonly failure?: string | undefined };

/** It has scores. One that failed has none, and neither is it bad nor may it be taken for good. */
export function isUsable({ failure, losses }: Judged): boolean {
  return failure === undefined && !losses.some(Number.isNaN);
}

/**
 * Which of two outcomes is better in one objective, for `toSorted()`: what meets the constraints before what does not, of
 * those that do not the less violating first, then the smaller loss; what failed last (Deb 2000, "An efficient constraint
 * handling method for genetic algorithms", section 3). Equals keep their order, so that earlier trials come first.
 */
export function compareOutcomes(a: Judged & { readonly loss: number }, b: Judged & { readonly loss: number }): number {
  const [isA, isB] = [hasLoss(a), hasLoss(b)];
  if (!isA || !isB) return Number(isB) - Number(isA);
  if (a.violation !== b.violation) return a.violation < b.violation ? -1 : 1;
  if (a.violation > 0 || a.loss === b.loss) return 0;
  return a.loss < b.loss ? -1 : 1;
}

function hasLoss(outcome: Judged & { readonly loss: number }): boolean {
  return !Number.isNaN(outcome.loss) && isUsable(outcome);
}
