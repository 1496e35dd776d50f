/** A trial that waits says so this often, lest the coordinator take it for stalled. */
const waitingMs = 10_000;

/** Says that a trial is alive while it waits for others, and only then: what works tells of its work by itself. */
export class WaitSigns implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #waiting = 0;
  #seconds: number;

  /** `seconds`: what it has waited already. */
  constructor(tell: () => void, seconds: number) {
    this.#seconds = seconds;
    this.#timer = setInterval(() => {
      if (this.#waiting > 0) tell();
    }, waitingMs);
    this.#timer.unref();
  }

  /** Seconds that the waits took, added up. */
  get seconds(): number {
    return this.#seconds;
  }

  async during<T>(wait: Promise<T>): Promise<T> {
    const end = this.begin();
    try {
      return await wait;
    } finally {
      end();
    }
  }

  /** The trial itself waits until what is returned is called. */
  begin(): () => void {
    const begun = performance.now();
    return this.queued(() => {
      this.#seconds += (performance.now() - begun) / 1000;
    });
  }

  /** A part of the trial waits, for a worker perhaps, while others may work: no seconds are counted. */
  queued(onEnd: () => void = () => undefined): () => void {
    this.#waiting += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#waiting -= 1;
      onEnd();
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
