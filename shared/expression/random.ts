import { createHash } from "node:crypto";

/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3",
 * section 3.3). A number depends on its key and its place and on nothing else, so any node can make any part of a mask.
 */
const multipliers = [0xd2511f53, 0xcd9e8d57] as const;
const weyl = [0x9e3779b9, 0xbb67ae85] as const;
export const philox = { multipliers, weyl, rounds: 10 } as const;

/** Four 32-bit words for one 128-bit counter and a 64-bit key. */
export function philox4x32(counter: readonly number[], key: RandomKey): [number, number, number, number] {
  let [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < philox.rounds; round += 1) {
    const high0 = multiplyHigh(multipliers[0], c0);
    const low0 = Math.imul(multipliers[0], c0) >>> 0;
    const high1 = multiplyHigh(multipliers[1], c2);
    const low1 = Math.imul(multipliers[1], c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + weyl[0]) >>> 0;
    k1 = (k1 + weyl[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The upper 32 bits of a 32 × 32-bit product. */
function multiplyHigh(a: number, b: number): number {
  const lowProduct = (a & 0xffff) * (b & 0xffff);
  const middle = (a >>> 16) * (b & 0xffff) + Math.floor(lowProduct / 0x10000);
  const carried = (a & 0xffff) * (b >>> 16) + (middle % 0x10000);
  return ((a >>> 16) * (b >>> 16) + Math.floor(middle / 0x10000) + Math.floor(carried / 0x10000)) >>> 0;
}

export type RandomKey = readonly [number, number];

/** The key of one random stream of one tensor: the first 64 bits of SHA-256 over seed, name and stream. */
export function randomKey(seed: number, tensor: string, stream: number): RandomKey {
  const digest = createHash("sha256").update(`${seed}\0${tensor}\0${stream}`).digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}

/**
 * Where an element's random number comes from. Elements go in groups of 16: lane `i mod 4` takes counter
 * `4·⌊i/16⌋ + i mod 4` and word `⌊i/4⌋ mod 4` of it, so that SIMD code draws 16 numbers from four counters without a
 * shuffle. In programs with row reductions `i` counts from the row's start and the row's number is a counter word.
 */
export function uniformAt(key: RandomKey, index: number, row = 0): number {
  const group = Math.floor(index / 16) * 4 + (index % 4);
  const words = philox4x32([group % 0x1_0000_0000, Math.floor(group / 0x1_0000_0000), row, 0], key);
  return ((words[Math.floor(index / 4) % 4] ?? 0) >>> 8) * 2 ** -24;
}
