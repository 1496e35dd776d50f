import type { Bucket } from "../../shared/bus/bus.js";
import { type Clock, sleep, type Timer } from "../../shared/clock.js";
import { keys, type LeaseRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { findingOf, nobody, type SeenLease, seenLease } from "./lease-state.js";

/** Renewals per time to live. */
const renewalsPerTtl = 5;
/** Part of the time to live after which a holder that renewed nothing does not count on its lease any more. */
const trustedPart = 0.6;
/** Tries of one renewal to settle with what it finds in the lease's place. */
const maxTries = 5;

export interface LeaseHolder {
  readonly holder: string;
  readonly instance: string;
  readonly clock: Clock;
  /** Default of the service: 5,000. */
  readonly ttlMs: number;
}

/**
 * The right to lead one job. While it is held, its record in the engine is renewed five times per time to live, by compare
 * and set.
 *
 * - `held`: the last renewal that took effect was sent less than 0.6 of the time to live ago. Nobody can have taken it.
 * - `unknown`: the engine has not answered since. Others may or may not have it: work may go on, for agents and the
 *   staging directory refuse orders of an older leader themselves, but nothing that cannot be taken back.
 * - `lost`: somebody else has it. {@link Lease.signal} is aborted with `fenced`.
 *
 * Looks at the clock and not at timers: in a process that was stopped for long, code may run before any timer does.
 */
export class Lease {
  readonly jobId: string;
  readonly #bucket: Bucket;
  readonly #by: LeaseHolder;
  readonly #key: string;
  readonly #deposed = new AbortController();
  #record: LeaseRecord;
  #revision: number;
  /** When the last renewal that took effect was sent. */
  #renewedMs: number;
  #renewal: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isReleased = false;

  private constructor(bucket: Bucket, jobId: string, by: LeaseHolder, taken: SeenLease, sentMs: number) {
    this.jobId = jobId;
    this.#bucket = bucket;
    this.#by = by;
    this.#key = keys.lease(jobId);
    this.#record = taken.record;
    this.#revision = taken.revision;
    this.#renewedMs = sentMs;
    this.#schedule();
  }

  /**
   * Takes a lease that is free; see {@link LeaseWatch}. Undefined when somebody else was quicker. Fails with `bus_failed`
   * when that is unknown: the next look shows it, as a lease of this instance that can be taken at once.
   *
   * @param observed What was found free, undefined for no record.
   */
  static async tryTake(
    bucket: Bucket,
    jobId: string,
    by: LeaseHolder,
    observed: SeenLease | undefined,
    epoch: number = (observed?.record.epoch ?? 0) + 1,
  ): Promise<Lease | undefined> {
    const { holder, instance, ttlMs } = by;
    const record: LeaseRecord = { holder, instance, epoch, beat: (observed?.record.beat ?? 0) + 1, ttlMs };
    const sentMs = by.clock.now();
    const revision = await write(bucket, keys.lease(jobId), record, observed);
    return revision === undefined ? undefined : new Lease(bucket, jobId, by, { record, revision }, sentMs);
  }

  get epoch(): number {
    return this.#record.epoch;
  }

  /** Aborted with `fenced` when the lease is lost. */
  get signal(): AbortSignal {
    return this.#deposed.signal;
  }

  get standing(): "held" | "unknown" | "lost" {
    if (this.signal.aborted || this.#isReleased) return "lost";
    const age = this.#by.clock.now() - this.#renewedMs;
    return age <= this.#by.ttlMs * trustedPart ? "held" : "unknown";
  }

  /** Throws `fenced` when the lease is lost, `bus_failed` when that is unknown. To wait until it is known: `confirm()`. */
  assertHeld(): void {
    const { standing } = this;
    if (standing === "held") return;
    this.signal.throwIfAborted();
    if (standing === "lost") throw this.#fenced("it was given up");
    const age = Math.round(this.#by.clock.now() - this.#renewedMs);
    const message = `Cannot tell whether this coordinator still leads job ${quote(this.jobId)}: its lease was last renewed ${age} ms ago`;
    throw new AmalgamError("bus_failed", message);
  }

  /**
   * Resolves when the lease is surely held, renewed for the purpose if it must be, however long the engine takes to
   * answer. Rejects with `fenced` when it is lost, with the signal's reason when that is aborted while it waits.
   */
  async confirm(signal?: AbortSignal): Promise<void> {
    while (this.standing === "unknown") {
      signal?.throwIfAborted();
      await this.#renewOnce();
      if (this.standing === "unknown") await sleep(this.#by.clock, this.#by.ttlMs / renewalsPerTtl, signal);
    }
    this.assertHeld();
  }

  /** Gives it up, so that others need not wait. Never fails: a lease that cannot be given up is taken over in time. */
  async release(): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#timer?.clear();
    await this.#renewal;
    if (this.signal.aborted) return;
    try {
      const record = { ...this.#record, instance: nobody };
      if ((await write(this.#bucket, this.#key, record, { revision: this.#revision })) !== undefined) return;
      // A renewal whose answer was lost may have taken effect.
      const found = seenLease(await this.#bucket.get(this.#key));
      if (found?.record.instance === this.#by.instance) await write(this.#bucket, this.#key, record, found);
    } catch (error) {
      if (AmalgamError.from(error).code !== "bus_failed") throw error;
    }
  }

  #schedule(): void {
    this.#timer = this.#by.clock.after(this.#by.ttlMs / renewalsPerTtl, () => {
      void this.#renewOnce().then(() => {
        if (this.standing !== "lost") this.#schedule();
      });
    });
  }

  /** One renewal at a time. Never fails; what came of it is seen in `standing`. */
  #renewOnce(): Promise<void> {
    this.#renewal ??= this.#renew()
      .catch((error: unknown) => {
        // Whether it took effect is unknown: the next renewal finds out.
        if (AmalgamError.from(error).code !== "bus_failed") this.#deposed.abort(AmalgamError.from(error));
      })
      .finally(() => {
        this.#renewal = undefined;
      });
    return this.#renewal;
  }

  async #renew(): Promise<void> {
    let found: SeenLease | undefined = { record: this.#record, revision: this.#revision };
    for (let tries = 0; tries < maxTries; tries += 1) {
      if (this.#isReleased) return;
      const finding = findingOf({ instance: this.#by.instance, epoch: this.epoch }, found);
      if (finding === "lost")
        return this.#deposed.abort(this.#fenced(`coordinator ${quote(found?.record.holder ?? "?")} does`));
      const sentMs = this.#by.clock.now();
      const epoch = finding === "take back" ? this.epoch + 1 : Math.max(this.epoch, found?.record.epoch ?? 0);
      const beat = Math.max(this.#record.beat, found?.record.beat ?? 0) + 1;
      const record = { ...this.#record, epoch, beat };
      const revision = await write(this.#bucket, this.#key, record, found);
      if (revision !== undefined) {
        this.#record = record;
        this.#revision = revision;
        this.#renewedMs = sentMs;
        return;
      }
      found = seenLease(await this.#bucket.get(this.#key));
    }
  }

  #fenced(why: string): AmalgamError {
    const what = `This coordinator does not lead job ${quote(this.jobId)} any more: ${why}`;
    return new AmalgamError("fenced", what, { details: { job: this.jobId, epoch: String(this.epoch) } });
  }
}

function write(
  bucket: Bucket,
  key: string,
  record: LeaseRecord,
  over: { readonly revision: number } | undefined,
): Promise<number | undefined> {
  const value = JSON.stringify(record);
  return over === undefined ? bucket.create(key, value) : bucket.update(key, value, over.revision);
}
