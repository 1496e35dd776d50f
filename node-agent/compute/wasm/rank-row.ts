import type { FunctionBody, Local } from "./encoder.js";

/** What the function that ranks a row takes, in this order: addresses in bytes, except for the count. */
export const rankParameters = [
  /** The row in f32, and {@link rankSlack} elements more. */
  "bits",
  /** Elements of the row: at least 2, at most {@link maxRanked}. */
  "count",
  /** Gets the ranks in f32; room for {@link rankSlack} more. */
  "ranks",
  /** u32 for each element, {@link keyMargin} of them before this address, and rankSlack + keyMargin behind. */
  "keys",
  /** u32 for each element, and rankSlack more. */
  "order",
  /** {@link countBytes}. */
  "counts",
  /** Gets a u32: 1 if the row was ranked, 0 if that is left to others. */
  "done",
] as const;

export type RankCall = Readonly<Record<(typeof rankParameters)[number], number>>;

/** Elements by which a row may be padded, to be whole vectors. */
export const rankSlack = 3;
/** The furthest key that a key is compared with. */
export const keyMargin = 12;
/** Places are counted in 16 bits. */
export const maxRanked = 0xfff0;
/** How many bins there may be, as a power of two by which the count is multiplied and then rounded up. */
export const binsShift = 1;

/** What the counts of a row's bins take, at two bytes each. */
export function countBytes(elements: number): number {
  return 2 * 2 ** (32 - Math.clz32(elements) + binsShift);
}

export const magnitudeMask = 0x7fff_ffff;
export const wordBytes = 4;
export const vectorBytes = 16;

/** What the steps of ranking a row have in common. */
export interface RankedRow {
  readonly body: FunctionBody;
  readonly at: Readonly<Record<(typeof rankParameters)[number], Local>>;
  /** Bytes of the row, or of a u32 for each of its elements, in whole vectors. */
  readonly bytes: Local;
  /** Where the counts in use end: whole vectors behind where they begin. */
  readonly countsEnd: Local;
}

/** Goes through memory by vectors until the first pointer is at the end; at least once. */
export function walk(body: FunctionBody, pointers: readonly [Local, ...Local[]], end: Local, inside: () => void): void {
  const [first, ...others] = pointers;
  body.loop(() => {
    inside();
    for (const pointer of others) body.get(pointer).i32(vectorBytes).op("i32.add").set(pointer);
    body.get(first).i32(vectorBytes).op("i32.add").tee(first).get(end).op("i32.lt_u").branchIf(0);
  });
}

/** Combines all lanes of a vector; each gets the result. */
export function fold(
  body: FunctionBody,
  vector: Local,
  instruction: "i32x4.max_s" | "f32x4.add" | "i16x8.max_u",
  laneBytes: number,
): void {
  for (let by = vectorBytes / 2; by >= laneBytes; by /= 2) {
    const turned = Array.from({ length: vectorBytes }, (_, byte) => (byte + by) % vectorBytes);
    body.get(vector).get(vector).get(vector).shuffle(turned).simd(instruction).set(vector);
  }
}
