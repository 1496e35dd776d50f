/** What there is room for on a line of a few centimetres. */
const maxRates = 120;
const firstStretchMs = 1_000;

/**
 * Throughput over the whole time in at most {@link maxRates} numbers: when there would be more, two stretches of time become
 * one that is twice as long.
 */
export class RateHistory {
  #stretchMs = firstStretchMs;
  #rates: number[] = [];
  #begunMs: number;
  #bytes = 0;

  constructor(nowMs: number) {
    this.#begunMs = nowMs;
  }

  get seconds(): number {
    return this.#stretchMs / 1_000;
  }

  /** Bytes per second. The stretch that has not ended yet is not in it. */
  get rates(): readonly number[] {
    return this.#rates;
  }

  add(bytes: number, nowMs: number): void {
    this.look(nowMs);
    this.#bytes += bytes;
  }

  /** Lets time pass. */
  look(nowMs: number): void {
    while (nowMs - this.#begunMs >= this.#stretchMs) {
      this.#rates.push((1_000 * this.#bytes) / this.#stretchMs);
      this.#bytes = 0;
      this.#begunMs += this.#stretchMs;
      if (this.#rates.length > maxRates) this.#halve();
    }
  }

  #halve(): void {
    // An odd one begins the stretch that is open now.
    const odd = this.#rates.length % 2 === 1 ? (this.#rates.pop() ?? 0) : undefined;
    if (odd !== undefined) {
      this.#bytes += (odd * this.#stretchMs) / 1_000;
      this.#begunMs -= this.#stretchMs;
    }
    this.#rates = this.#rates.flatMap((rate, i, all) => (i % 2 === 0 ? [(rate + (all[i + 1] ?? 0)) / 2] : []));
    this.#stretchMs *= 2;
  }
}

/** Shorter and a rate jumps from chunk to chunk. */
const windowMs = 3_000;

/** Throughput of the last seconds. */
export class RateNow {
  #rate = 0;
  #bytes = 0;
  #sinceMs: number;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Bytes per second. */
  at(nowMs: number): number {
    const passedMs = nowMs - this.#sinceMs;
    if (passedMs >= windowMs) {
      this.#rate = (1_000 * this.#bytes) / passedMs;
      this.#bytes = 0;
      this.#sinceMs = nowMs;
    } else if (this.#rate === 0 && passedMs >= windowMs / 3) return (1_000 * this.#bytes) / passedMs;
    return this.#rate;
  }
}
