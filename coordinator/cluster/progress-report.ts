import type { Bus } from "../../shared/bus/bus.js";
import type { Clock, Timer } from "../../shared/clock.js";
import { keys, type ProgressRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";

/** At most one is told per second. */
const pauseMs = 1_000;

/** Tells how far a job is: the first at once, then the latest every second, the last one for certain. */
export class ProgressReport {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #key: string;
  #latest: ProgressRecord | undefined;
  #pause: Timer | undefined;
  #telling: Promise<void> = Promise.resolve();

  constructor(bus: Bus, clock: Clock, jobId: string) {
    this.#bus = bus;
    this.#clock = clock;
    this.#key = keys.progress(jobId);
  }

  add(progress: ProgressRecord): void {
    this.#latest = progress;
    if (this.#pause === undefined) this.#tell();
  }

  /** Resolves when the last one is told, or cannot be. */
  async end(): Promise<void> {
    this.#pause?.clear();
    this.#tell();
    this.#pause?.clear();
    await this.#telling;
  }

  #tell(): void {
    const progress = this.#latest;
    this.#latest = undefined;
    this.#pause = undefined;
    if (progress === undefined) return;
    this.#pause = this.#clock.after(pauseMs, () => this.#tell());
    this.#telling = this.#telling.then(async () => {
      try {
        await this.#bus.nodes.put(this.#key, JSON.stringify(progress));
      } catch (error) {
        // For people only, and the next one says more.
        if (AmalgamError.from(error).code !== "bus_failed") throw error;
      }
    });
  }
}
