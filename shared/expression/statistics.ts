import type { Gather } from "./passes.js";

/**
 * Elements whose sum is one partial result. Blocks start at multiples of this within a tensor (or are whole rows, in
 * programs with row reductions), and work is cut only between blocks, so partial results do not depend on the cut.
 */
export const blockElements = 65_536;

/** Bins of the two counting passes of a k-th magnitude: |x| as bits is 15 upper and 16 lower ones. */
export const upperBins = 1 << 15;
export const lowerBins = 1 << 16;

/**
 * What a pass gathered over a part of a tensor. Sums stay apart by block until every block is there and are then added
 * in order; counts and maxima may be merged in any order.
 */
export type Partial =
  | { readonly kind: "sum"; readonly blocks: Float64Array }
  | { readonly kind: "largest"; readonly value: number }
  | { readonly kind: "upperBits" | "lowerBits"; readonly counts: Float64Array };

/** A block's sum from its four lanes; lane l holds the elements with index ≡ l (mod 4), added in order. */
export function addLanes(l0: number, l1: number, l2: number, l3: number): number {
  return l0 + l1 + (l2 + l3);
}

/** Merges the partials of consecutive parts of one tensor, given in order. */
export function concatenate(kind: Gather["kind"], parts: readonly Partial[]): Partial {
  if (kind === "sum") {
    const blocks = parts.map((part) => (part.kind === "sum" ? part.blocks : new Float64Array()));
    const all = new Float64Array(blocks.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of blocks) {
      all.set(part, at);
      at += part.length;
    }
    return { kind, blocks: all };
  }
  if (kind === "largest") {
    return { kind, value: parts.reduce((max, p) => Math.max(max, p.kind === "largest" ? p.value : max), -Infinity) };
  }
  const counts = new Float64Array(kind === "upperBits" ? upperBins : lowerBins);
  for (const part of parts) if (part.kind === kind) addCounts(counts, part.counts);
  return { kind, counts };
}

function addCounts(into: Float64Array, counts: Float64Array): void {
  for (let bin = 0; bin < into.length; bin += 1) into[bin] = (into[bin] ?? 0) + (counts[bin] ?? 0);
}

/** The sum that a sum's partial stands for: blocks are added from first to last. */
export function totalOf(partial: Partial): number {
  if (partial.kind === "largest") return partial.value;
  if (partial.kind !== "sum") throw new TypeError("Only sums and maxima have a total");
  let total = 0;
  for (const block of partial.blocks) total += block;
  return total;
}

/**
 * The first half of a k-th magnitude: in which bin of upper bits it lies, and its rank among the magnitudes there.
 * A bin of −1 says that the answer is +∞: nothing was asked for, or there is nothing.
 */
export function selectUpperBits(counts: Float64Array, k: number): [bin: number, rank: number] {
  const available = counts.reduce((total, count) => total + count, 0);
  let rank = Math.min(Math.floor(k), available);
  if (!(rank >= 1)) return [-1, 0];
  for (let bin = upperBins - 1; bin >= 0; bin -= 1) {
    const here = counts[bin] ?? 0;
    if (rank <= here) return [bin, rank];
    rank -= here;
  }
  throw new RangeError(`Cannot find rank ${rank}: the counts hold only ${available}`);
}

/** The second half: the magnitude itself. */
export function selectLowerBits(counts: Float64Array, bin: number, rank: number): number {
  if (bin < 0) return Infinity;
  let left = rank;
  for (let lower = lowerBins - 1; lower >= 0; lower -= 1) {
    const here = counts[lower] ?? 0;
    if (left <= here) return floatFromBits((bin << 16) | lower);
    left -= here;
  }
  throw new RangeError(`Cannot find rank ${rank} in bin ${bin}`);
}

const scratch = new DataView(new ArrayBuffer(4));

function floatFromBits(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

/** The bit pattern of |x| as f32: an integer that sorts like the number, with every NaN above +∞. */
export function magnitudeBits(x: number): number {
  scratch.setFloat32(0, x);
  return scratch.getUint32(0) & 0x7fff_ffff;
}
