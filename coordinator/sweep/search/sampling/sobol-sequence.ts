import type { Random } from "../random.js";
import { directions } from "./sobol-directions.js";

/** As many dimensions as there are direction numbers for. */
export const maxSobolDimensions = directions.length + 1;

const bits = 32;

/**
 * Points that fill the unit cube evenly, each beginning as well as the whole (Sobol' 1967). With random numbers they are
 * scrambled: each dimension by a random lower triangular matrix over GF(2) and a digital shift (Matoušek 1998, section
 * 2.3), which keeps them as even and makes every point uniformly distributed by itself. Dimensions beyond
 * {@link maxSobolDimensions} are then padded with plain random numbers.
 */
export class SobolSequence {
  readonly #columns: readonly Uint32Array[];
  readonly #state: Uint32Array;
  readonly #padding: number;
  readonly #random: Random | undefined;
  #count = 0;

  constructor(dimensions: number, scramble?: Random) {
    const even = Math.min(dimensions, maxSobolDimensions);
    if (scramble === undefined && dimensions > even) {
      throw new RangeError(`A Sobol sequence that is not scrambled has at most ${maxSobolDimensions} dimensions`);
    }
    const columns = Array.from({ length: even }, (_, dimension) => directionNumbers(dimension));
    this.#columns = scramble === undefined ? columns : columns.map((numbers) => scrambled(numbers, scramble));
    this.#state = Uint32Array.from(columns, () => (scramble === undefined ? 0 : randomWord(scramble)));
    this.#padding = dimensions - even;
    this.#random = scramble;
  }

  /** The next point, in the order of the Gray code (Antonov and Saleev 1979). */
  next(): number[] {
    const point = Array.from(this.#state, (word) => word * 2 ** -bits);
    for (let i = 0; i < this.#padding; i += 1) point.push(this.#random?.uniform() ?? 0);
    this.#count += 1;
    const column = 31 - Math.clz32(this.#count & -this.#count);
    for (const [i, numbers] of this.#columns.entries()) {
      this.#state[i] = (this.#state[i] ?? 0) ^ (numbers[column] ?? 0);
    }
    return point;
  }
}

/** v_k = m_k / 2^k as 32-bit fractions, by the recurrence of the dimension's polynomial (Bratley and Fox 1988, section 2). */
function directionNumbers(dimension: number): Uint32Array {
  const numbers = new Uint32Array(bits);
  const [polynomial, initial] = directions[dimension - 1] ?? [0, []];
  const degree = initial.length;
  for (let k = 0; k < bits; k += 1) {
    if (k < degree || degree === 0) {
      numbers[k] = ((initial[k] ?? 1) << (bits - 1 - k)) >>> 0;
      continue;
    }
    const oldest = numbers[k - degree] ?? 0;
    let next = oldest ^ (oldest >>> degree);
    for (let power = 1; power < degree; power += 1) {
      if ((polynomial >>> (degree - power)) & 1) next ^= numbers[k - power] ?? 0;
    }
    numbers[k] = next >>> 0;
  }
  return numbers;
}

/** L v for every column v, where L has ones on its diagonal and random bits below. */
function scrambled(numbers: Uint32Array, random: Random): Uint32Array {
  const rows = Array.from({ length: bits }, (_, row) => {
    const diagonal = 2 ** (bits - 1 - row);
    const left = row === 0 ? 0 : (0xffffffff << (bits - row)) >>> 0;
    return ((randomWord(random) & left) | diagonal) >>> 0;
  });
  return numbers.map((number) => {
    let result = 0;
    for (const [row, mask] of rows.entries()) {
      if (parity(number & mask)) result |= 1 << (bits - 1 - row);
    }
    return result >>> 0;
  });
}

function parity(word: number): boolean {
  let folded = word;
  for (const shift of [16, 8, 4, 2, 1]) folded ^= folded >>> shift;
  return (folded & 1) === 1;
}

function randomWord(random: Random): number {
  return random.integer(2 ** bits);
}
