/** Notices that no new input begins. */
export class Watch {
  readonly #memory: SharedArrayBuffer;
  readonly #counters: Int32Array;
  #timer: NodeJS.Timeout | undefined;

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
    this.#counters = new Int32Array(memory, 0, 2);
  }

  get latest(): Uint8Array {
    return new Uint8Array(this.#memory, 8, this.#counters[1]).slice();
  }

  /** Calls `onHang` when an input takes longer than `hangMs`. */
  start(hangMs: number, onHang: () => void): void {
    let [seen, since] = [0, performance.now()];
    this.#timer = setInterval(() => {
      const count = Atomics.load(this.#counters, 0);
      if (count !== seen) [seen, since] = [count, performance.now()];
      else if (count > 0 && performance.now() - since > hangMs) onHang();
    }, 1_000);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
