/**
 * The k-th largest of many numbers without sorting them: one pass counts the upper bits of every element's key, a second
 * counts the lower 16 bits of those in the bin where the k-th lies. A key is an integer that sorts like the element's
 * magnitude ({@link magnitudeBits}; 15 upper bits) or like the element itself ({@link orderedBits}; 16 upper bits).
 */
export type UpperCount = "upperBits" | "upperOrder";
export type LowerCount = "lowerBits" | "lowerOrder";
export type Count = UpperCount | LowerCount;

const binsByKind: Readonly<Record<Count, number>> = {
  upperBits: 1 << 15,
  lowerBits: 1 << 16,
  upperOrder: 1 << 16,
  lowerOrder: 1 << 16,
};

/** What a pass can gather. */
export type GatherKind = "sum" | "largest" | Count;

/** How many bins a gather counts in; 0 if it does not count. */
export function binsOf(kind: GatherKind): number {
  return kind === "sum" || kind === "largest" ? 0 : binsByKind[kind];
}

export function isUpperCount(kind: GatherKind): kind is UpperCount {
  return kind === "upperBits" || kind === "upperOrder";
}

export function isLowerCount(kind: GatherKind): kind is LowerCount {
  return kind === "lowerBits" || kind === "lowerOrder";
}

/** The integer whose halves a counting gather counts. */
export function keyBits(kind: Count, x: number): number {
  return kind === "upperBits" || kind === "lowerBits" ? magnitudeBits(x) : orderedBits(x);
}

/**
 * The first half of an order statistic: in which bin of upper bits it lies, and its rank among the elements there.
 * A bin of −1 says that the answer is +∞: nothing was asked for, or there is nothing.
 */
export function selectUpperBits(counts: Float64Array, k: number): [bin: number, rank: number] {
  if (!(Math.floor(k) >= 1)) return [-1, 0];
  let left = Math.floor(k);
  // More than there are: the smallest of them.
  let [lowest, inLowest] = [-1, 0];
  for (let bin = counts.length - 1; bin >= 0; bin -= 1) {
    const here = counts[bin] ?? 0;
    if (here === 0) continue;
    if (left <= here) return [bin, left];
    left -= here;
    [lowest, inLowest] = [bin, here];
  }
  return [lowest, inLowest];
}

/** The second half: the magnitude or the element itself. */
export function selectLowerBits(kind: LowerCount, counts: Float64Array, bin: number, rank: number): number {
  if (bin < 0) return Infinity;
  let left = rank;
  for (let lower = counts.length - 1; lower >= 0; lower -= 1) {
    const here = counts[lower] ?? 0;
    if (left <= here) return fromKey(kind, ((bin << 16) | lower) >>> 0);
    left -= here;
  }
  throw new RangeError(`Cannot find rank ${rank} in bin ${bin}`);
}

const signBit = 0x8000_0000;
const canonicalNan = 0x7fc0_0000;
const scratch = new DataView(new ArrayBuffer(4));

function fromKey(kind: LowerCount, key: number): number {
  scratch.setUint32(0, kind === "lowerBits" ? key : key >= signBit ? key - signBit : ~key);
  return scratch.getFloat32(0);
}

/** The bit pattern of |x| as f32: an integer that sorts like the number, with every NaN above +∞. */
export function magnitudeBits(x: number): number {
  scratch.setFloat32(0, x);
  return scratch.getUint32(0) & 0x7fff_ffff;
}

/** An unsigned integer that sorts like x as f32: −0 just below +0, every NaN above +∞. */
export function orderedBits(x: number): number {
  if (Number.isNaN(x)) return canonicalNan + signBit;
  scratch.setFloat32(0, x);
  const bits = scratch.getUint32(0);
  return bits >= signBit ? ~bits >>> 0 : bits + signBit;
}
