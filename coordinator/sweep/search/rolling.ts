import { type Outcome, type SearchContext, type Searching, start, type TrialRequest, wait } from "./searching.js";

/** What a rolling search knows when it proposes a trial. */
export interface Known {
  /** In the order of their starts. */
  readonly outcomes: readonly Outcome[];
  /** Trials that are under way. */
  readonly pending: readonly TrialRequest[];
}

/**
 * Keeps `context.width` trials going: trial n is proposed when trial n − width is in, whatever else is. Ends when there is
 * no proposal and all are in.
 */
export function* rolling(
  context: SearchContext,
  propose: (known: Known) => TrialRequest | undefined,
): Searching<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let pending: { readonly trial: number; readonly request: TrialRequest }[] = [];
  for (;;) {
    const request = propose({ outcomes, pending: pending.map((one) => one.request) });
    if (request === undefined) break;
    const [trial = 0] = yield* start([request]);
    pending.push({ trial, request });
    const [oldest] = pending;
    if (pending.length < context.width || oldest === undefined) continue;
    outcomes.push(...(yield* wait([oldest.trial])));
    pending = pending.slice(1);
  }
  outcomes.push(...(yield* wait(pending.map(({ trial }) => trial))));
  return outcomes;
}
