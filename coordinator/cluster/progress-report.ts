import type { Bus } from "../../shared/bus/bus.js";
import type { Clock, Timer } from "../../shared/clock.js";
import { keys, type ProgressRecord } from "../../shared/cluster/records.js";
import type { UnitsRecord } from "../../shared/cluster/units-record.js";

/** At most one is told per second. */
const pauseMs = 1_000;

interface Told {
  readonly progress: ProgressRecord;
  readonly units: (() => UnitsRecord) | undefined;
}

/**
 * Tells how far a job is: the first at once, then the latest every second, the last one for certain. One at a time: while
 * the engine is slow nothing queues up, and the end of the job waits for two of them at most. It is for people only, so
 * that one could not be told is nobody's error.
 */
export class ProgressReport {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #jobId: string;
  #latest: Told | undefined;
  #pause: Timer | undefined;
  #telling: Promise<void> | undefined;
  #isEnding = false;

  constructor(bus: Bus, clock: Clock, jobId: string) {
    this.#bus = bus;
    this.#clock = clock;
    this.#jobId = jobId;
  }

  /** `units` is called when it is told, which is far rarer than this. */
  add(progress: ProgressRecord, units?: () => UnitsRecord): void {
    this.#latest = { progress, units };
    this.#next();
  }

  /** Resolves when the last one is told, or cannot be. Never fails. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#pause?.clear();
    await this.#telling;
    await this.#tell();
  }

  #next(): void {
    if (this.#latest === undefined || this.#isEnding) return;
    if (this.#pause === undefined && this.#telling === undefined) this.#telling = this.#tell();
  }

  /** Never fails. */
  async #tell(): Promise<void> {
    const told = this.#latest;
    this.#latest = undefined;
    if (told !== undefined) {
      this.#pause = this.#clock.after(pauseMs, () => {
        this.#pause = undefined;
        this.#next();
      });
      const isMoving = await this.#write(told).catch(() => false);
      // Work that has come to a stand tells nothing more: it is told again until its throughput is zero.
      if (isMoving) this.#latest ??= told;
    }
    this.#telling = undefined;
    if (this.#pause === undefined) this.#next();
  }

  /** Whether what was told will be another thing by itself. */
  async #write({ progress, units }: Told): Promise<boolean> {
    await this.#bus.nodes.put(keys.progress(this.#jobId), JSON.stringify(progress));
    const record = units?.();
    if (record === undefined) return false;
    await this.#bus.nodes.put(keys.units(this.#jobId), JSON.stringify(record));
    return record.bytesPerSecond > 0;
  }
}
