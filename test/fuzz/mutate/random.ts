/** A whole number from 0 to below `bound`, which is at least 1. */
export type Random = (bound: number) => number;

/** Makes an input of another one; `other` is a second one to take parts of. */
export type Mutate = (input: Uint8Array, other: Uint8Array, random: Random) => Uint8Array;

/** The same numbers on every machine for the same seed (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** One of several; there is at least one. */
export function oneOf<T>(items: readonly T[], random: Random): T {
  const item = items[random(items.length)];
  if (item === undefined) throw new RangeError("Nothing to choose from");
  return item;
}
