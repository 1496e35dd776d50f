/** Time that a sweep was at work, over all its lives. */
export class Stopwatch {
  readonly #before: number;
  readonly #started = performance.now();

  constructor(secondsBefore: number) {
    this.#before = secondsBefore;
  }

  get seconds(): number {
    return this.#before + (performance.now() - this.#started) / 1000;
  }
}
