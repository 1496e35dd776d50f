import type { Outcome } from "../../../../../coordinator/sweep/search/searching.js";

/** An outcome of which only some things matter. */
export function outcome(
  trial: number,
  { losses = [Number.NaN], violation = 0, failure }: Partial<Pick<Outcome, "losses" | "violation" | "failure">>,
): Outcome {
  const loss = losses.reduce((sum, one) => sum + one, 0);
  const judged = { losses, loss, violation, ...(failure === undefined ? {} : { failure }) };
  return { trial, point: {}, rung: 0, examples: new Map(), ...judged };
}
