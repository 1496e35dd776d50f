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

/** Octaves below the largest magnitude that have bins of their own; what is smaller shares the lowest bin. */
const octaves = 12;
/** The finest division of an octave. */
const maxFractionBits = 14;
/** Moves per element after which sorting by insertion is given up: some bin has too many different magnitudes. */
const maxMoves = 8;

/** A magnitude's 31 bits in digits: few bins for short rows, few passes for long ones. */
const shortRow = { bits: 8, digits: 4 } as const;
const longRow = { bits: 11, digits: 3 } as const;
const longRowElements = 2_048;

const counts = new Uint32Array((octaves + 1) << maxFractionBits);

/**
 * Ranks the first `count` elements by magnitude, equal ones by their place. For the rows that RowRanker leaves: those
 * that spread over their octaves evenly enough are put in bins of a few elements at once; others go through a radix sort.
 */
export function rankRow(row: Ranking, count: number): void {
  if (count === 1) {
    row.ranks[0] = 0.5;
    return;
  }
  const largest = takeMagnitudes(row.bits, count);
  if (!rankByBins(row, count, largest)) rankByDigits(row, count);
}

/**
 * Puts elements in bins by exponent and leading fraction bits, about as many bins to an octave as there are elements to
 * eight, and sorts what is then nearly sorted by insertion. False, with no ranks written, if that takes too long.
 */
function rankByBins({ bits, ranks, scratch: [order, keys] }: Ranking, count: number, largest: number): boolean {
  const fractionBits = Math.min(maxFractionBits, Math.max(2, 28 - Math.clz32(count)));
  const shift = 23 - fractionBits;
  const bins = (octaves + 1) << fractionBits;
  const lowest = (largest >>> shift) - bins + 1;
  counts.fill(0, 0, bins);
  for (let i = 0; i < count; i += 1) {
    const bin = ((bits[i] as number) >>> shift) - lowest;
    (counts[bin < 0 ? 0 : bin] as number) += 1;
  }
  let start = 0;
  for (let bin = 0; bin < bins; bin += 1) {
    const here = counts[bin] as number;
    counts[bin] = start;
    start += here;
  }
  for (let i = 0; i < count; i += 1) {
    const key = bits[i] as number;
    const bin = (key >>> shift) - lowest;
    const place = counts[bin < 0 ? 0 : bin] as number;
    counts[bin < 0 ? 0 : bin] = place + 1;
    order[place] = i;
    keys[place] = key;
  }
  let moves = maxMoves * count;
  for (let i = 1; i < count; i += 1) {
    const key = keys[i] as number;
    if ((keys[i - 1] as number) <= key) continue;
    const element = order[i] as number;
    let to = i;
    while (to > 0 && (keys[to - 1] as number) > key) {
      keys[to] = keys[to - 1] as number;
      order[to] = order[to - 1] as number;
      to -= 1;
    }
    moves -= i - to;
    if (moves < 0) return false;
    keys[to] = key;
    order[to] = element;
  }
  const highest = count - 1;
  for (let i = 0; i < count; i += 1) ranks[order[i] as number] = i / highest;
  return true;
}

/**
 * A stable radix sort of element numbers from the lowest digit up, whose last pass, instead of moving a number to its
 * place, writes the place down. Digits that all elements share are skipped.
 */
function rankByDigits({ bits, ranks, scratch }: Ranking, count: number): void {
  const { bits: digitBits, digits } = count < longRowElements ? shortRow : longRow;
  const bins = 1 << digitBits;
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

/** Cuts the signs off; a NaN is like any other. Returns the largest. */
function takeMagnitudes(bits: Uint32Array, count: number): number {
  let largest = 0;
  for (let i = 0; i < count; i += 1) {
    const magnitude = (bits[i] as number) & magnitudeMask;
    const key = magnitude > infinity ? canonicalNan : magnitude;
    bits[i] = key;
    if (key > largest) largest = key;
  }
  return largest;
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
