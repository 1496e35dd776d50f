import { philox } from "../../../shared/expression/random.js";
import type { FunctionBody, Local } from "./encoder.js";

const highHalves = [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31];

/**
 * Draws 16 random words from four counters at once: lane l of word w is the number of element 4·w + l of the group
 * (see shared/expression/random.ts). `counter` holds the counter's words, `key` the key's, each as four equal lanes
 * except the counter's first word. Returns the four words' locals.
 */
export function emitPhilox(
  body: FunctionBody,
  counter: readonly [Local, Local, Local],
  key: readonly [Local, Local],
): readonly Local[] {
  const c = [0, 1, 2, 3].map(() => body.local("v128")) as [Local, Local, Local, Local];
  const k = [body.local("v128"), body.local("v128")] as const;
  const [low0, high0, low1, high1] = [0, 1, 2, 3].map(() => body.local("v128")) as [Local, Local, Local, Local];
  counter.forEach((word, i) => {
    body.get(word).set(c[i] ?? c[0]);
  });
  body.splat(0).set(c[3]);
  body.get(key[0]).set(k[0]).get(key[1]).set(k[1]);

  for (let round = 0; round < philox.rounds; round += 1) {
    multiply(body, c[0], philox.multipliers[0], low0, high0);
    multiply(body, c[2], philox.multipliers[1], low1, high1);
    // The products come last: a round waits for nothing else.
    body.get(c[1]).get(k[0]).simd("v128.xor").get(high1).simd("v128.xor").set(c[0]);
    body.get(c[3]).get(k[1]).simd("v128.xor").get(high0).simd("v128.xor").set(c[2]);
    body.get(low1).set(c[1]).get(low0).set(c[3]);
    body.get(k[0]).splat(philox.weyl[0]).simd("i32x4.add").set(k[0]);
    body.get(k[1]).splat(philox.weyl[1]).simd("i32x4.add").set(k[1]);
  }
  return c;
}

/** The 64-bit products of four 32-bit lanes with a constant, as low and high halves. */
function multiply(body: FunctionBody, lanes: Local, by: number, low: Local, high: Local): void {
  const [even, odd] = [body.local("v128"), body.local("v128")];
  body.get(lanes).splat(by).simd("i64x2.extmul_low_i32x4_u").set(even);
  body.get(lanes).splat(by).simd("i64x2.extmul_high_i32x4_u").set(odd);
  // Not shuffled out of the products: on x64 those keep the shuffle units busier than anything else does.
  body.get(lanes).splat(by).simd("i32x4.mul").set(low);
  body.get(even).get(odd).shuffle(highHalves).set(high);
}

/** Pushes a random word's four lanes as f32 in [0, 1): its upper 24 bits, so that the conversion is exact. */
export function pushUniform(body: FunctionBody, word: Local): void {
  body
    .get(word)
    .i32(8)
    .simd("i32x4.shr_u")
    .simd("f32x4.convert_i32x4_s")
    .splat(f32Bits(2 ** -24))
    .simd("f32x4.mul");
}

/**
 * Pushes `limit`, four equal lanes of f32, as the integer that a random number's 24 bits are below just where the number
 * is below the limit. Scaling by a power of two is exact; NaN, which nothing is below, becomes 0.
 */
export function pushDrawLimit(body: FunctionBody, limit: Local): void {
  body
    .get(limit)
    .splat(f32Bits(2 ** 24))
    .simd("f32x4.mul")
    .simd("f32x4.ceil")
    .simd("i32x4.trunc_sat_f32x4_s");
}

/** Pushes whether a random word's four numbers are below what {@link pushDrawLimit} made of their limit. */
export function pushIsDrawnBelow(body: FunctionBody, word: Local, drawLimit: Local): void {
  body.get(drawLimit).get(word).i32(8).simd("i32x4.shr_u").simd("i32x4.gt_s");
}

function f32Bits(x: number): number {
  return new Uint32Array(Float32Array.of(x).buffer)[0] ?? 0;
}
