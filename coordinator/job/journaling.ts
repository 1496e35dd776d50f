import { AmalgamError } from "../../shared/errors.js";

/**
 * Receipts on their way into the journal while further units run; the journal syncs those that meet together. The first
 * that cannot be journaled stops the job.
 */
export class Journaling {
  readonly #failed = new AbortController();
  readonly #pending = new Set<Promise<void>>();
  readonly signal: AbortSignal;

  constructor(outer: AbortSignal | undefined) {
    this.signal = outer === undefined ? this.#failed.signal : AbortSignal.any([outer, this.#failed.signal]);
  }

  add(accepting: Promise<void>): void {
    this.#pending.add(accepting);
    accepting.then(
      () => this.#pending.delete(accepting),
      (reason: unknown) => this.#failed.abort(AmalgamError.from(reason)),
    );
  }

  /** Waits for all; throws the first failure. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#pending);
    this.#failed.signal.throwIfAborted();
  }
}
