import type { AmalgamError } from "../../shared/errors.js";
import type { Failure } from "./retry.js";
import type { UnitState } from "./states.js";

/** One try at one unit. Epochs count the tries at a unit, so no two attempts are equal. */
export interface Attempt {
  /** Index into the list of units. */
  readonly unit: number;
  /** The agent's address. */
  readonly agent: string;
  readonly epoch: number;
}

/** What follows from a failed attempt. */
export type Verdict =
  /** Another attempt counts, or a failure was already charged to this one: nothing changes. */
  | { readonly kind: "late" }
  /** The unit is still being run by another attempt. */
  | { readonly kind: "covered" }
  | { readonly kind: "retry"; readonly delayMs: number }
  | { readonly kind: "fatal"; readonly failures: readonly Failure[]; readonly error: AmalgamError };

/** A unit as the dispatcher's books have it. */
export interface UnitRecord {
  readonly index: number;
  /** Bytes read and written. */
  readonly weight: number;
  state: UnitState;
  epoch: number;
  /** Milliseconds of the clock before which it is not tried again. */
  notBefore: number;
  /** The attempts that may still be accepted, by epoch. */
  readonly running: Map<number, RunningAttempt>;
  /** Those that count. */
  readonly failures: Failure[];
}

export interface RunningAttempt {
  readonly agent: string;
  readonly startedAt: number;
}
