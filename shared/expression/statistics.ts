import { binsOf, type Count } from "./order-statistics.js";
import type { Gather } from "./passes.js";

/**
 * Elements whose sum is one partial result. Blocks start at multiples of this within a tensor (in programs with row or
 * column values they are others: see blockOf()), and work is cut only between blocks, so partial results do not depend
 * on the cut.
 */
export const blockElements = 65_536;

/**
 * What a pass gathered over a part of a tensor. Sums stay apart by block until every block is there and are then added
 * in order; counts and maxima may be merged in any order.
 */
export type Partial =
  | { readonly kind: "sum"; readonly blocks: Float64Array }
  | { readonly kind: "largest"; readonly value: number }
  | { readonly kind: Count; readonly counts: Float64Array };

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
  const counts = new Float64Array(binsOf(kind));
  for (const part of parts) if ("counts" in part && part.kind === kind) addCounts(counts, part.counts);
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
