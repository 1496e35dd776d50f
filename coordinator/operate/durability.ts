import type { Bus } from "../../shared/bus/bus.js";
import { examine } from "../../shared/bus/nats/doctor.js";
import type { BusOptions } from "../../shared/bus/nats/options.js";
import { type Clock, sleep } from "../../shared/clock.js";
import type { Log } from "../../shared/log/log.js";
import { quote } from "../../shared/quote.js";

/** Before the second look at a server that is not fit; doubles with each further one. */
const firstPauseMs = 15_000;
const longestPauseMs = 600_000;

/**
 * Whether NATS keeps what it is told, as `amalgam doctor` finds out. It is looked at until it is fit, and again when the
 * connection comes back, for it may be another server then. A look leaves a marker of a deleted key behind where the user may
 * not purge, so there is none without a reason.
 */
export class Durability implements Disposable {
  readonly #ended = new AbortController();
  readonly #unlisten: () => void;
  #problem: string | undefined = "NATS has not been examined yet";
  #isSyncedAlways: boolean | undefined;
  /** Ends the pause before the next look. */
  #again = new AbortController();

  constructor(bus: Pick<Bus, "onConnection">, options: BusOptions, clock: Clock, log: Log) {
    this.#unlisten = bus.onConnection((isConnected) => {
      if (isConnected) this.#again.abort();
    });
    void this.#keepLooking(options, clock, log);
  }

  /** What makes the server unfit; undefined once it was found fit. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Whether what is acknowledged is on disk; undefined before the first look, and where it cannot be seen. */
  get isSyncedAlways(): boolean | undefined {
    return this.#isSyncedAlways;
  }

  [Symbol.dispose](): void {
    this.#unlisten();
    this.#ended.abort();
    this.#again.abort();
  }

  async #keepLooking(options: BusOptions, clock: Clock, log: Log): Promise<void> {
    const { signal } = this.#ended;
    for (let failures = 0; !signal.aborted; ) {
      this.#again = new AbortController();
      await this.#look(options, log);
      if (signal.aborted) return;
      failures = this.#problem === undefined ? 0 : failures + 1;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1));
      if (failures > 0) await sleep(clock, pauseMs, this.#again.signal);
      else await aborted(this.#again.signal);
    }
  }

  async #look(options: BusOptions, log: Log): Promise<void> {
    const findings = await examine(options, ["coordinator"]);
    const found = findings.find(({ level }) => level === "problem");
    const problem = found && `${found.what}: ${found.why}`;
    if (problem !== undefined && problem !== this.#problem) {
      log.warning(`NATS is not fit for a cluster: ${problem}; see ${quote("amalgam doctor")}`);
    }
    this.#problem = problem;
    const sync = findings.find(({ what }) => what === "sync to disk");
    if (sync !== undefined) this.#isSyncedAlways = sync.isUnseen ? undefined : sync.level === "ok";
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
