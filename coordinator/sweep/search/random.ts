import { philox4x32, type RandomKey, randomKey } from "../../../shared/expression/random.js";

/** A stream of random numbers that follows from a seed and a name. Philox by counter: see `shared/expression/random.ts`. */
export class Random {
  readonly #key: RandomKey;
  #counter = 0;
  #words: readonly number[] = [];
  /** Into the words: the next one. */
  #next = 0;
  #spare: number | undefined;

  constructor(seed: number, stream: string) {
    this.#key = randomKey(seed, stream, 0);
  }

  /** In [0, 1), a multiple of 2^-53. */
  uniform(): number {
    const [high, low] = [this.#word(), this.#word()];
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53;
  }

  /** A whole number in [0, below). */
  integer(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** Standard normal (Box and Muller 1958). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** +1 or −1. */
  sign(): 1 | -1 {
    return this.uniform() < 0.5 ? -1 : 1;
  }

  /** The numbers below `count` in random order (Fisher and Yates). */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i -= 1) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
    }
    return order;
  }

  #word(): number {
    if (this.#next === this.#words.length) {
      this.#words = philox4x32([this.#counter % 2 ** 32, Math.floor(this.#counter / 2 ** 32), 0, 0], this.#key);
      this.#counter += 1;
      this.#next = 0;
    }
    const word = this.#words[this.#next] ?? 0;
    this.#next += 1;
    return word;
  }
}
