import { formatCount } from "../../../shared/quote.js";
import { isUsable } from "./order.js";
import type { Outcome, SearchContext } from "./searching.js";

/** What has scores. Of the others the author is told what was done: a failure is not a bad score. */
export function usableOf(
  context: SearchContext,
  outcomes: readonly Outcome[],
  consequence: string,
): readonly Outcome[] {
  const usable = outcomes.filter(isUsable);
  const failed = outcomes.filter((outcome) => !isUsable(outcome));
  const [first] = failed;
  if (first !== undefined) {
    const count = `${formatCount(failed.length)} of ${formatCount(outcomes.length)} trials failed and ${consequence}`;
    context.note(`${count}; the first, trial ${first.trial}: ${first.failure ?? "its score is not a number"}`);
  }
  return usable;
}
