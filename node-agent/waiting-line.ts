import { AmalgamError } from "../shared/errors.js";

/** Work whose turn has come. Whoever takes it settles it. */
export interface Turn<Work> {
  readonly work: Work;
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (error: AmalgamError) => void;
}

/** Work that waits for somebody to do it, first come first served, and what is being done. */
export class WaitingLine<Work> {
  readonly #limit: number;
  readonly #onJoin: () => void;
  readonly #waiting: Turn<Work>[] = [];
  readonly #unfinished = new Set<Promise<void>>();
  #closed: AmalgamError | undefined;

  /** `onJoin`: there is more to do. At most `limit` may wait. */
  constructor(limit: number, onJoin: () => void) {
    this.#limit = limit;
    this.#onJoin = onJoin;
  }

  /** What runs or waits. */
  get size(): number {
    return this.#unfinished.size;
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /**
   * Settles when the work is done or has failed. Fails with the signal's reason if it still waits when it is canceled,
   * and then never starts; with `stalled` and what `refusal` says if too many wait already.
   */
  join(work: Work, signal: AbortSignal, refusal: () => string): Promise<void> {
    let leave = (): void => undefined;
    const promise = new Promise<void>((resolve, reject) => {
      if (this.#closed !== undefined) return reject(this.#closed);
      if (signal.aborted) return reject(AmalgamError.from(signal.reason));
      if (this.#waiting.length >= this.#limit) return reject(new AmalgamError("stalled", refusal()));
      const turn: Turn<Work> = { work, signal, resolve, reject };
      this.#waiting.push(turn);
      leave = () => this.#leave(turn);
      signal.addEventListener("abort", leave, { once: true });
      this.#onJoin();
    });
    this.#unfinished.add(promise);
    const settled = (): void => {
      signal.removeEventListener("abort", leave);
      this.#unfinished.delete(promise);
    };
    promise.then(settled, settled);
    return promise;
  }

  /** The next in the line, which it leaves. */
  take(): Turn<Work> | undefined {
    return this.#waiting.shift();
  }

  /** Settles when nothing runs or waits. */
  async idle(): Promise<void> {
    while (this.#unfinished.size > 0) await Promise.allSettled(this.#unfinished);
  }

  /** What waits fails with `reason`, and what comes. */
  close(reason: AmalgamError): void {
    this.#closed = reason;
    for (const turn of this.#waiting.splice(0)) turn.reject(reason);
  }

  #leave(turn: Turn<Work>): void {
    const place = this.#waiting.indexOf(turn);
    if (place < 0) return;
    this.#waiting.splice(place, 1);
    turn.reject(AmalgamError.from(turn.signal.reason));
  }
}
