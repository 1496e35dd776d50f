/** What an {@link IoLimit} is made of; crosses threads. */
export interface IoLimitState {
  readonly bytesPerSecond: number;
  /** One 64-bit cell: the time, by `process.hrtime`, at which everything that was taken so far has been paid for. */
  readonly paidUntil: SharedArrayBuffer;
}

/** How much may be taken ahead of time: reads and writes come in tiles, and a pause of less is not worth a sleep. */
const burstNs = 50_000_000n;

/**
 * Bytes per second that all threads of an agent read and write together: a token bucket in shared memory, whose clock
 * is the process's.
 */
export class IoLimit {
  readonly state: IoLimitState;
  readonly #cell: BigInt64Array;

  constructor(state: IoLimitState) {
    this.state = state;
    this.#cell = new BigInt64Array(state.paidUntil);
  }

  static of(bytesPerSecond: number): IoLimit {
    return new IoLimit({ bytesPerSecond, paidUntil: new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT) });
  }

  /** Takes the bytes, and returns how many milliseconds to wait before they are read or written. */
  take(bytes: number): number {
    const cost = BigInt(Math.ceil((bytes * 1e9) / this.state.bytesPerSecond));
    const now = process.hrtime.bigint();
    for (;;) {
      const before = Atomics.load(this.#cell, 0);
      const after = (before > now ? before : now) + cost;
      if (Atomics.compareExchange(this.#cell, 0, before, after) !== before) continue;
      const waitNs = after - now - burstNs;
      return waitNs > 0n ? Number(waitNs) / 1e6 : 0;
    }
  }
}

/** A worker that sleeps looks up this often, so that it is stopped quickly and says that it is alive. */
export const sliceMs = 100;

const never = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Blocks the thread, calling `lookUp` at least every {@link sliceMs}; it throws to end the sleep. */
export function sleepBlocking(ms: number, lookUp: () => void): void {
  const until = performance.now() + ms;
  for (let left = ms; left > 0; left = until - performance.now()) {
    lookUp();
    Atomics.wait(never, 0, 0, Math.min(left, sliceMs));
  }
}
