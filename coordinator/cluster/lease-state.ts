import type { Entry } from "../../shared/bus/bus.js";
import { type LeaseRecord, leaseRecord, parseRecord } from "../../shared/cluster/records.js";

export const defaultTtlMs = 5_000;
/** Longest silence that a reader grants a holder, whatever the holder asks for. */
const maxTtlMs = 60_000;
/** The instance in a lease that nobody holds. The record stays, so that epochs go on growing. */
export const nobody = "";

/** A lease as the engine has it. */
export interface SeenLease {
  readonly record: LeaseRecord;
  readonly revision: number;
}

/** Undefined when there is none; one that does not parse is nobody's, and can be taken. */
export function seenLease(entry: Entry | undefined): SeenLease | undefined {
  if (entry === undefined) return undefined;
  const record = parseRecord(leaseRecord, entry.value);
  return { record: record ?? unreadable, revision: entry.revision };
}

const unreadable: LeaseRecord = { holder: "?", instance: nobody, epoch: 1, beat: 0, ttlMs: 1 };

/**
 * What the holder of a lease is to do when it could not renew it, by what it finds in the lease's place: renew what is
 * still its own, take back what the engine forgot, or stop.
 *
 * Epochs only grow while the engine keeps its data. A lower one than ours, or nothing, is what an engine has that lost its
 * data; were it a new holder's, it had a higher one.
 */
export function findingOf(
  own: { readonly instance: string; readonly epoch: number },
  found: SeenLease | undefined,
): "renew" | "take back" | "lost" {
  if (found === undefined) return "take back";
  if (found.record.instance === own.instance) return "renew";
  return found.record.epoch < own.epoch ? "take back" : "lost";
}

/**
 * A lease through the eyes of somebody who would take it over. Only what was watched counts: the same beat must have stood
 * still for the holder's time to live, by the watcher's clock, with looks that are not far apart. After a gap, when the
 * engine did not answer or the watcher itself was stopped, the holder gets its whole time again, for its beats could not
 * be seen either.
 */
export class LeaseWatch {
  #seen: { readonly what: string; readonly sinceMs: number; lastLookMs: number } | undefined;
  #highestEpoch = 0;
  #ttlMs = defaultTtlMs;

  /** The epoch that the next holder gets. */
  get nextEpoch(): number {
    return this.#highestEpoch + 1;
  }

  /**
   * @param askedMs When the look was begun, by the watcher's clock.
   * @param isExpected The job was led before, so that there should be a lease, if only one that was given up.
   */
  look(lease: SeenLease | undefined, askedMs: number, isExpected = false): "free" | "held" {
    if (lease !== undefined) {
      this.#highestEpoch = Math.max(this.#highestEpoch, lease.record.epoch);
      this.#ttlMs = Math.min(lease.record.ttlMs, maxTtlMs);
    }
    // One that should be there and is not was forgotten by the engine: its holder is about to take it back.
    const wasForgotten = lease === undefined && (isExpected || this.#highestEpoch > 0);
    const isFree = lease === undefined ? !wasForgotten : lease.record.instance === nobody;
    if (isFree) {
      this.#seen = undefined;
      return "free";
    }
    const what = JSON.stringify([lease?.record.instance, lease?.record.epoch, lease?.record.beat]);
    if (this.#seen?.what !== what || askedMs - this.#seen.lastLookMs > this.#ttlMs / 2) {
      this.#seen = { what, sinceMs: askedMs, lastLookMs: askedMs };
    }
    this.#seen.lastLookMs = askedMs;
    return askedMs - this.#seen.sinceMs >= this.#ttlMs ? "free" : "held";
  }
}
