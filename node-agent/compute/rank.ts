/** A row to be ranked and the space for it, all of at least the row's length. */
export interface Ranking {
  /** The row's elements as the bits of f32. Left as magnitudes. */
  readonly bits: Uint32Array;
  /** Gets the place of each element's magnitude among all, scaled to [0, 1]; see Expression.rankInRow(). */
  readonly ranks: Float32Array;
  /** Two lists of element numbers, while they are being sorted. */
  readonly scratch: readonly [Uint32Array, Uint32Array];
}

const canonicalNan = 0x7fc0_0000;
const infinity = 0x7f80_0000;
const magnitudeMask = 0x7fff_ffff;

/** A magnitude's 31 bits in digits: few bins for short rows, few passes for long ones. */
const shortRow = { bits: 8, digits: 4 } as const;
const longRow = { bits: 11, digits: 3 } as const;
const longRowElements = 2_048;

const counts = new Uint32Array(shortRow.digits << longRow.bits);

/**
 * Ranks the first `count` elements by magnitude, equal ones by their place: a stable radix sort of element numbers from
 * the lowest digit up, whose last pass, instead of moving a number to its place, writes the place down. Digits that all
 * elements share are skipped. For the rows that RowRanker leaves, and the reference for those that it does not.
 */
export function rankRow({ bits, ranks, scratch }: Ranking, count: number): void {
  if (count === 1) {
    ranks[0] = 0.5;
    return;
  }
  const { bits: digitBits, digits } = count < longRowElements ? shortRow : longRow;
  const bins = 1 << digitBits;
  takeMagnitudes(bits, count);
  countDigits(bits, count, digitBits, digits);
  const sorted: number[] = [];
  for (let digit = 0; digit < digits; digit += 1) if (startDigit(digit * bins, bins, count)) sorted.push(digit);
  // All magnitudes are equal: any digit puts them in their own order.
  if (sorted.length === 0) sorted.push(0);

  let from: Uint32Array | undefined;
  sorted.forEach((digit, pass) => {
    const [shift, first] = [digit * digitBits, digit * bins];
    const into = scratch[pass % 2 === 0 ? 0 : 1];
    if (pass === sorted.length - 1) writePlaces(bits, from, ranks, count, shift, bins - 1, first);
    else if (from === undefined) sortAll(bits, into, count, shift, bins - 1, first);
    else sortAgain(bits, from, into, count, shift, bins - 1, first);
    from = into;
  });
}

/** Cuts the signs off; a NaN is like any other. */
function takeMagnitudes(bits: Uint32Array, count: number): void {
  for (let i = 0; i < count; i += 1) {
    const magnitude = (bits[i] as number) & magnitudeMask;
    bits[i] = magnitude > infinity ? canonicalNan : magnitude;
  }
}

function countDigits(bits: Uint32Array, count: number, digitBits: number, digits: number): void {
  const bins = 1 << digitBits;
  counts.fill(0, 0, digits * bins);
  for (let digit = 0; digit < digits; digit += 1) {
    const [shift, first] = [digit * digitBits, digit * bins];
    for (let i = 0; i < count; i += 1) {
      (counts[first + (((bits[i] as number) >>> shift) & (bins - 1))] as number) += 1;
    }
  }
}

/** Turns a digit's counts into the places where its bins start. False if one bin has everything. */
function startDigit(first: number, bins: number, count: number): boolean {
  let start = 0;
  let isSplit = true;
  for (let bin = first; bin < first + bins; bin += 1) {
    const here = counts[bin] as number;
    if (here === count) isSplit = false;
    counts[bin] = start;
    start += here;
  }
  return isSplit;
}

// Three loops that differ in where numbers come from and go to: one loop with conditions inside costs twice as much.

function sortAll(
  bits: Uint32Array,
  into: Uint32Array,
  count: number,
  shift: number,
  mask: number,
  first: number,
): void {
  for (let i = 0; i < count; i += 1) {
    const bin = first + (((bits[i] as number) >>> shift) & mask);
    const place = counts[bin] as number;
    counts[bin] = place + 1;
    into[place] = i;
  }
}

function sortAgain(
  bits: Uint32Array,
  from: Uint32Array,
  into: Uint32Array,
  count: number,
  shift: number,
  mask: number,
  first: number,
): void {
  for (let i = 0; i < count; i += 1) {
    const element = from[i] as number;
    const bin = first + (((bits[element] as number) >>> shift) & mask);
    const place = counts[bin] as number;
    counts[bin] = place + 1;
    into[place] = element;
  }
}

function writePlaces(
  bits: Uint32Array,
  from: Uint32Array | undefined,
  ranks: Float32Array,
  count: number,
  shift: number,
  mask: number,
  first: number,
): void {
  const highest = count - 1;
  for (let i = 0; i < count; i += 1) {
    const element = from === undefined ? i : (from[i] as number);
    const bin = first + (((bits[element] as number) >>> shift) & mask);
    const place = counts[bin] as number;
    counts[bin] = place + 1;
    ranks[element] = place / highest;
  }
}
