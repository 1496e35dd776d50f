/**
 * Lets work start only while the bytes it will hold, together with those of work under way, stay within a capacity.
 * Work is started in the order it came; one piece larger than the capacity runs alone.
 */
export class ByteGate {
  readonly #capacity: number;
  readonly #waiting: { readonly bytes: number; readonly start: () => void }[] = [];
  #held = 0;

  constructor(capacityBytes: number) {
    this.#capacity = capacityBytes;
  }

  async hold<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      this.#waiting.push({ bytes, start: resolve });
      this.#startNext();
    });
    try {
      return await work();
    } finally {
      this.#held -= bytes;
      this.#startNext();
    }
  }

  #startNext(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#held > 0 && this.#held + next.bytes > this.#capacity) return;
      this.#waiting.shift();
      this.#held += next.bytes;
      next.start();
    }
  }
}
