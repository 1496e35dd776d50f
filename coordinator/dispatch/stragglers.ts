import type { UnitRecord } from "./attempts.js";
import type { RetryPolicy } from "./retry.js";
import type { Speeds } from "./speeds.js";

/**
 * Running units that need much longer than is usual for their size. To look at thousands of them whenever something
 * happens would take longer than all else, so the next time at which one can become late is remembered.
 */
export class Stragglers {
  readonly #policy: RetryPolicy;
  readonly #speeds: Speeds;
  readonly #running: Iterable<UnitRecord>;
  /** Those that were late when all were last looked at. */
  #late: readonly UnitRecord[] = [];
  /** No other one becomes late before that, while this is the usual speed. */
  #nextAt = -Infinity;
  #median: number | undefined;

  /** `running`: those with an attempt, whenever it is asked. */
  constructor(policy: RetryPolicy, speeds: Speeds, running: Iterable<UnitRecord>) {
    this.#policy = policy;
    this.#speeds = speeds;
    this.#running = running;
  }

  /** A unit has one more attempt or one less. */
  changed(unit: UnitRecord): void {
    this.#nextAt = Math.min(this.#nextAt, this.#lateAt(unit));
  }

  /** Those that are late, the one that has been so for longest first. */
  at(now: number): readonly UnitRecord[] {
    this.#look(now);
    if (this.#late.length > 0) this.#late = this.#late.filter((unit) => this.#lateAt(unit) <= now);
    return this.#late;
  }

  /** When another one becomes late, or somewhat earlier. */
  nextAt(now: number): number {
    this.#look(now);
    return this.#nextAt;
  }

  #look(now: number): void {
    const { median } = this.#speeds;
    if (now < this.#nextAt && median === this.#median) return;
    const late: { readonly unit: UnitRecord; readonly at: number }[] = [];
    this.#median = median;
    this.#nextAt = Infinity;
    for (const unit of this.#running) {
      const at = this.#lateAt(unit);
      if (at <= now) late.push({ unit, at });
      else this.#nextAt = Math.min(this.#nextAt, at);
    }
    this.#late = late.sort((a, b) => a.at - b.at).map(({ unit }) => unit);
  }

  /** Never, while nothing says what is usual or two attempts run. */
  #lateAt({ running, weight, notBefore }: UnitRecord): number {
    const median = this.#median;
    const [only] = running.size === 1 ? running.values() : [];
    if (only === undefined || median === undefined) return Infinity;
    const { stragglerMs, stragglerFactor } = this.#policy;
    return Math.max(notBefore, only.startedAt + Math.max(stragglerMs, stragglerFactor * median * weight));
  }
}
