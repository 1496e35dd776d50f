import { compareOutcomes } from "./search/order.js";
import type { TrialRecord } from "./types.js";

/** Better trials first, for `toSorted()`: see {@link compareOutcomes}. Of equal ones the earlier. */
export function compareTrials(a: TrialRecord, b: TrialRecord): number {
  return compareOutcomes(judged(a), judged(b)) || a.violation - b.violation || a.loss - b.loss || a.trial - b.trial;
}

/** Whether a trial is a merge with a score. */
export function isScored({ status, reference }: TrialRecord): boolean {
  return status === "done" && reference === undefined;
}

/** The merges that were judged by most examples, best first. */
export function ranked(trials: readonly TrialRecord[]): readonly TrialRecord[] {
  const scored = trials.filter(isScored);
  const rung = scored.reduce((highest, trial) => Math.max(highest, trial.rung), 0);
  return scored.filter((trial) => trial.rung === rung).toSorted(compareTrials);
}

/** The better of two as {@link ranked} has them. */
export function isBetter(one: TrialRecord, than: TrialRecord | undefined): boolean {
  if (!isScored(one) || one.trial === than?.trial) return false;
  if (than === undefined || one.rung > than.rung) return true;
  return one.rung === than.rung && compareTrials(one, than) < 0;
}

function judged({ losses, loss, violation, failure }: TrialRecord) {
  return { losses, loss, violation, failure: failure?.message };
}
