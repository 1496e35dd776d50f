import type { AmalgamError } from "../../shared/errors.js";

/** When failed work is tried again, and when slow work is given to somebody else as well. */
export interface RetryPolicy {
  /**
   * A unit that has failed on so many different agents fails the job. Where there are fewer agents, so many failed
   * attempts do. @default 3
   */
  readonly attempts: number;
  /**
   * A unit that so many different agents were lost with fails the job. Where many agents die for reasons of their own, as
   * in a large cluster, three are no evidence against what they ran. @default 3
   */
  readonly losses: number;
  /** Failed attempts at one unit, wherever they were, that fail the job; lost agents are among them. @default 10 */
  readonly maxAttempts: number;
  /** Pause before the second attempt; it grows fourfold with each one after that. @default 250 ms */
  readonly firstDelayMs: number;
  /** @default 30 s */
  readonly maxDelayMs: number;
  /** An idle agent takes over a running unit that needs this many times what the median agent needs for its size. @default 3 */
  readonly stragglerFactor: number;
  /** No unit is a straggler before this. @default 10 s */
  readonly stragglerMs: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 3,
  losses: 3,
  maxAttempts: 10,
  firstDelayMs: 250,
  maxDelayMs: 30_000,
  stragglerFactor: 3,
  stragglerMs: 10_000,
};

/** A try that failed. */
export interface Failure {
  /** The agent's address. */
  readonly agent: string;
  readonly error: AmalgamError;
}

export type RetryDecision = { readonly kind: "retry"; readonly delayMs: number } | { readonly kind: "giveUp" };

/** What becomes of a unit after an attempt at it has failed. `failures` are those that count, and include this one. */
export function decideRetry(
  policy: RetryPolicy,
  error: AmalgamError,
  failures: readonly Failure[],
  /** Those that could run the unit, failed or not. */
  agents: number,
): RetryDecision {
  // Another agent may have the credentials that this one lacks.
  const isRefusal = (failure: Failure): boolean => failure.error.code === "source_refused";
  if (!error.retryable && error.code !== "source_refused") return { kind: "giveUp" };
  const isLoss = (failure: Failure): boolean => failure.error.code === "agent_lost";
  // Agents die for many reasons, and whatever they ran then is suspected: only many of them are evidence.
  const losses = failures.filter(isLoss);
  const others = failures.filter((failure) => !isLoss(failure) && !isRefusal(failure));
  const tooMany =
    failures.length >= policy.maxAttempts ||
    places(losses) >= policy.losses ||
    places(others) >= policy.attempts ||
    (agents < policy.attempts && others.length >= policy.attempts);
  if (tooMany) return { kind: "giveUp" };
  return { kind: "retry", delayMs: Math.min(policy.maxDelayMs, policy.firstDelayMs * 4 ** (failures.length - 1)) };
}

/** An agent that is shutting down has said nothing about the unit. */
export function countsAsFailure(error: AmalgamError): boolean {
  return error.code !== "agent_draining";
}

function places(failures: readonly Failure[]): number {
  return new Set(failures.map(({ agent }) => agent)).size;
}
