import { AmalgamError } from "../../shared/errors.js";
import { formatCount } from "../../shared/quote.js";
import type { TrialRecord } from "./types.js";

/** Where so many trials fail and none before them has gone well, it is not the trials. */
export const maxFailuresFromStart = 20;

const maxReasons = 3;

/** Why no trial went well, the most frequent reasons first; undefined where one did or there is none. */
export function commonFailure(trials: readonly TrialRecord[]): AmalgamError | undefined {
  if (trials.length === 0 || trials.some(({ status }) => status === "done")) return undefined;
  const counts = new Map<string, number>();
  for (const { failure } of trials) {
    // Which of the trials it was makes no other reason.
    const reason = (failure?.message ?? "").replace(/^Unit \d+ \("[^"]*"\)/, "A trial");
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const reasons = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, maxReasons);
  const told = reasons.map(([reason, count]) => `  ${formatCount(count)} × ${reason}`).join("\n");
  const what = trials.length === 1 ? "The only trial failed" : `All ${formatCount(trials.length)} trials failed`;
  const more = counts.size > maxReasons ? `\n  and ${formatCount(counts.size - maxReasons)} other reasons` : "";
  return new AmalgamError("usage", `${what}, none is kept; first reason of each kind:\n${told}${more}`);
}
