import type { AmalgamError } from "../../shared/errors.js";

/** When failed work is tried again, and when slow work is given to somebody else as well. */
export interface RetryPolicy {
  /** Failed attempts at one unit that fail the job. @default 3 */
  readonly attempts: number;
  /** Pause before the second attempt; it grows fourfold with each one after that. @default 250 ms */
  readonly firstDelayMs: number;
  /** @default 30 s */
  readonly maxDelayMs: number;
  /** An idle agent takes over a running unit that needs this many times what units of its size have needed. @default 3 */
  readonly stragglerFactor: number;
  /** No unit is a straggler before this. @default 10 s */
  readonly stragglerMs: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 3,
  firstDelayMs: 250,
  maxDelayMs: 30_000,
  stragglerFactor: 3,
  stragglerMs: 10_000,
};

/** What becomes of a unit after an attempt at it has failed. `failures` includes this one. */
export function decideRetry(
  policy: RetryPolicy,
  error: AmalgamError,
  failures: number,
): { readonly kind: "retry"; readonly delayMs: number } | { readonly kind: "giveUp" } {
  if (!error.retryable) return { kind: "giveUp" };
  // The agent never tried, and takes no more work in this job.
  if (!countsAsFailure(error)) return { kind: "retry", delayMs: 0 };
  if (failures >= policy.attempts) return { kind: "giveUp" };
  return { kind: "retry", delayMs: Math.min(policy.maxDelayMs, policy.firstDelayMs * 4 ** (failures - 1)) };
}

/** An agent that is shutting down has said nothing about the unit. */
export function countsAsFailure(error: AmalgamError): boolean {
  return error.code !== "agent_draining";
}
