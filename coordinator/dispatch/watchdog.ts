import { AmalgamError } from "../../shared/errors.js";
import type { Dispatchable } from "./dispatchable.js";

export interface WatchdogOptions {
  readonly signal?: AbortSignal | undefined;
  /** An agent that sends nothing at all for so long has stalled. Time spent elsewhere does not count. @default 60 s */
  readonly stallMs?: number | undefined;
}

const defaultStallMs = 60_000;

/**
 * The slowest unit that is still waited for: ten minutes and a second per megabyte. It ends attempts that send signs of
 * life and nothing else; a slow agent's unit goes elsewhere long before.
 */
const unitAllowanceMs = 600_000;
const slowestBytesPerMs = 1_000;
/** A timer of more than 25 days rings at once. */
const maxAllowanceMs = 2 ** 31 - 1;

/** Ends an attempt that gets nowhere. It counts only the time that is spent waiting for the agent. */
export class Watchdog implements Disposable {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #stall: NodeJS.Timeout;
  readonly #allowance: NodeJS.Timeout;
  #isWaiting = false;

  /** `agent`: its label. */
  constructor(agent: string, unit: Dispatchable, { signal, stallMs = defaultStallMs }: WatchdogOptions) {
    const slowestMs = unitAllowanceMs + (unit.bytesRead + unit.bytesWritten) / slowestBytesPerMs;
    const allowanceMs = Math.min(slowestMs, maxAllowanceMs);
    const stalled = (problem: string): void =>
      this.#controller.abort(
        new AmalgamError("stalled", `Agent ${agent} ${problem} unit ${unit.id}`, {
          details: { unit: String(unit.id), agent },
        }),
      );
    this.#stall = setTimeout(() => {
      if (this.#isWaiting) stalled(`sent no sign of progress for ${stallMs / 1000} seconds on`);
    }, stallMs);
    this.#allowance = setTimeout(
      () => stalled(`needs more than ${Math.round(allowanceMs / 1000)} seconds for`),
      allowanceMs,
    );
    this.#outer = signal;
    if (signal?.aborted) this.#follow();
    signal?.addEventListener("abort", this.#follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async guard<T>(wait: () => Promise<T>): Promise<T> {
    this.#isWaiting = true;
    this.#stall.refresh();
    try {
      return await wait();
    } finally {
      this.#isWaiting = false;
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#stall);
    clearTimeout(this.#allowance);
    this.#outer?.removeEventListener("abort", this.#follow);
  }

  readonly #follow = (): void => this.#controller.abort(this.#outer?.reason);
}
