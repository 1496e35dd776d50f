import { expect, test } from "vitest";
import { exp32, log32 } from "../../../../shared/expression/elementary.js";
import { seeded } from "../../../support/random.js";

/** The distance between neighbouring f32 numbers at x. */
function ulp(x: number): number {
  return 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(x)))) - 23);
}

/** Every f32 number whose bits are `first`, `first + step`, … below `end`. */
function* pattern(first: number, end: number, step: number): Generator<number> {
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  for (let at = first; at < end; at += step) {
    bits[0] = at;
    yield float[0] ?? Number.NaN;
  }
}

const infinityBits = 0x7f80_0000;
const signBit = 0x8000_0000;

test("exp32() is within 1 ulp of the true value wherever that is a normal number", () => {
  let worst = 0;
  for (const sign of [0, signBit]) {
    for (const x of pattern(sign, sign + infinityBits, 4_999)) {
      const truth = Math.exp(x);
      if (truth >= 2 ** -126 && truth <= 3.4028234e38) worst = Math.max(worst, Math.abs(exp32(x) - truth) / ulp(truth));
    }
  }
  expect(worst).toBeGreaterThan(0.4);
  expect(worst).toBeLessThan(1);
});

test("log32() is within 1 ulp of the true value, also near 1, where that is small", () => {
  let worst = 0;
  const all = [pattern(1, infinityBits, 19_997), pattern(0x3f00_0000, 0x3fc0_0000, 61)];
  for (const x of all.flatMap((numbers) => [...numbers])) {
    const truth = Math.log(x);
    if (truth !== 0) worst = Math.max(worst, Math.abs(log32(x) - truth) / ulp(truth));
  }
  expect(worst).toBeGreaterThan(0.4);
  expect(worst).toBeLessThan(1);
});

test.each([
  [0, 1],
  [-0, 1],
  [Infinity, Infinity],
  [-Infinity, 0],
  [Number.NaN, Number.NaN],
  [1, Math.fround(Math.E)],
  [88.72284, Infinity],
  [3.4028234663852886e38, Infinity],
  [-3.4028234663852886e38, 0],
  [-103.5, 2 ** -149],
  [-104, 0],
])("exp32(%f) is %f", (x, expected) => {
  expect(exp32(Math.fround(x))).toBe(expected);
});

test("exp32() underflows gradually: subnormal results are within one step", () => {
  for (let x = -87.4; x > -104; x -= 0.037) {
    const given = Math.fround(x);
    expect(Math.abs(exp32(given) - Math.exp(given))).toBeLessThan(2 ** -149);
  }
});

test.each([
  [1, 0],
  [0, -Infinity],
  [-0, -Infinity],
  [-1, Number.NaN],
  [-(2 ** -149), Number.NaN],
  [-Infinity, Number.NaN],
  [Infinity, Infinity],
  [Number.NaN, Number.NaN],
  [2 ** -149, Math.fround(Math.log(2 ** -149))],
])("log32(%f) is %f", (x, expected) => {
  expect(log32(x)).toBe(expected);
});

test("log32() undoes exp32() to within the rounding of its argument", () => {
  const random = seeded(5);
  for (let i = 0; i < 10_000; i += 1) {
    const x = Math.fround((random() - 0.5) * 170);
    expect(Math.abs(log32(exp32(x)) - x)).toBeLessThanOrEqual(2 ** -23 + ulp(x));
  }
});
