import { expect, test } from "vitest";
import { narrow, widen } from "../../../../shared/checkpoint/convert.js";
import { type ComputableDtype, computableDtypes, dtypeBytes } from "../../../../shared/checkpoint/dtypes.js";
import { randomFrom } from "../../../support/checkpoints.js";

/** Facts of each small format, from the papers and standards that define them. */
const formats = [
  { dtype: "BF16", nan: 0x7fc0, infinity: 0x7f80, one: 0x3f80, smallest: 2 ** -133, largest: 2 ** 128 - 2 ** 120 },
  { dtype: "F16", nan: 0x7e00, infinity: 0x7c00, one: 0x3c00, smallest: 2 ** -24, largest: 65504 },
  { dtype: "F8_E5M2", nan: 0x7f, infinity: 0x7c, one: 0x3c, smallest: 2 ** -16, largest: 57344 },
  { dtype: "F8_E4M3", nan: 0x7f, infinity: undefined, one: 0x38, smallest: 2 ** -9, largest: 448 },
] as const;

/** Patterns as the little-endian bytes of a tensor. */
function toBytes(dtype: ComputableDtype, patterns: readonly number[]): Uint8Array {
  const wide = dtypeBytes(dtype) === 2;
  return wide ? new Uint8Array(Uint16Array.from(patterns).buffer) : Uint8Array.from(patterns);
}

function toPatterns(dtype: ComputableDtype, bytes: Uint8Array<ArrayBuffer>): number[] {
  return dtypeBytes(dtype) === 2 ? [...new Uint16Array(bytes.buffer)] : [...bytes];
}

function value(dtype: ComputableDtype, pattern: number): number {
  return widen(dtype, toBytes(dtype, [pattern]))[0] ?? Number.NaN;
}

function pattern(dtype: ComputableDtype, number: number): number {
  return toPatterns(dtype, narrow(dtype, Float32Array.of(number)))[0] ?? -1;
}

/** The 32-bit float `steps` away from a positive one. */
function neighbour(number: number, steps: number): number {
  const bits = new Uint32Array(Float32Array.of(number).buffer);
  return new Float32Array(Uint32Array.of((bits[0] ?? 0) + steps).buffer)[0] ?? Number.NaN;
}

for (const { dtype, nan, infinity, one, smallest, largest } of formats) {
  const sign = 2 ** (dtypeBytes(dtype) * 8 - 1);
  const largestPattern = (infinity ?? nan) - 1;
  const positive = [
    ...widen(
      dtype,
      toBytes(
        dtype,
        Array.from({ length: largestPattern + 1 }, (_, i) => i),
      ),
    ),
  ];

  test(`widen() gives ${dtype} its defining values`, () => {
    expect(positive[0]).toBe(0);
    expect(positive[1]).toBe(smallest);
    expect(positive[one]).toBe(1);
    expect(positive[largestPattern]).toBe(largest);
    if (infinity !== undefined) expect(value(dtype, infinity)).toBe(Number.POSITIVE_INFINITY);
  });

  test(`widen() gives every pattern of ${dtype} its value`, () => {
    // Two neighbours differ by the unit in the last place, which doubles when the exponent field goes up by one.
    const mantissa = { BF16: 128, F16: 1024, F8_E5M2: 4, F8_E4M3: 8 }[dtype];
    for (let i = 1; i <= largestPattern; i++) {
      const unit = smallest * 2 ** Math.max(0, Math.floor((i - 1) / mantissa) - 1);
      expect((positive[i] ?? 0) - (positive[i - 1] ?? 0)).toBe(unit);
    }
    for (let i = 0; i < sign; i++) {
      const expected = i <= largestPattern ? positive[i] : i === infinity ? Number.POSITIVE_INFINITY : Number.NaN;
      expect(value(dtype, i)).toBe(expected);
      expect(value(dtype, i + sign)).toBe(expected === undefined ? undefined : -expected);
    }
  });

  test(`narrow() turns every value of ${dtype} into its pattern again, and every NaN into one`, () => {
    const patterns = Array.from({ length: 2 * sign }, (_, i) => i);
    const values = widen(dtype, toBytes(dtype, patterns));
    const expected = patterns.map((p, i) => (Number.isNaN(values[i]) ? nan : p));
    expect(toPatterns(dtype, narrow(dtype, values))).toEqual(expected);
  });

  test(`narrow() rounds to the nearest ${dtype}, and halfway to the even one`, () => {
    const inputs: number[] = [];
    const expected: number[] = [];
    for (let low = 0; low < largestPattern; low++) {
      const high = low + 1;
      const middle = ((positive[low] ?? 0) + (positive[high] ?? 0)) / 2;
      for (const [input, rounded] of [
        [neighbour(positive[low] ?? 0, 1), low],
        [neighbour(middle, -1), low],
        [middle, low % 2 === 0 ? low : high],
        [neighbour(middle, 1), high],
        [neighbour(positive[high] ?? 0, -1), high],
      ] as const) {
        inputs.push(input, -input);
        expected.push(rounded, rounded + sign);
      }
    }
    expect(toPatterns(dtype, narrow(dtype, Float32Array.from(inputs)))).toEqual(expected);
  });

  test(`narrow() turns what rounds beyond the largest ${dtype} into ${infinity === undefined ? "that" : "infinity"}`, () => {
    // The number that would come next if the format went on; halfway to it goes to the even one of the two.
    const gap = largest - (positive[largestPattern - 1] ?? 0);
    const middle = largest + gap / 2;
    const beyond = infinity ?? largestPattern;
    expect(pattern(dtype, neighbour(middle, -1))).toBe(largestPattern);
    expect(pattern(dtype, middle)).toBe(largestPattern % 2 === 0 ? largestPattern : beyond);
    for (const input of [neighbour(middle, 1), 2 ** 127 * 1.9999, Number.POSITIVE_INFINITY]) {
      expect(pattern(dtype, input)).toBe(beyond);
      expect(pattern(dtype, -input)).toBe(beyond + sign);
    }
  });

  test(`narrow() keeps the sign of zero in ${dtype}, also of what rounds to it`, () => {
    const tiny = Float32Array.of(0, -0, smallest / 2, -smallest / 2, neighbour(0, 1), -neighbour(0, 1));
    expect(toPatterns(dtype, narrow(dtype, tiny))).toEqual([0, sign, 0, sign, 0, sign]);
  });
}

test("narrow() to F8_E4M3 saturates, since the format has no infinity", () => {
  expect([448, 463.9, 464].map((number) => pattern("F8_E4M3", number))).toEqual([0x7e, 0x7e, 0x7e]);
  expect([464.1, 480, 1e30, -1e30].map((number) => pattern("F8_E4M3", number))).toEqual([0x7e, 0x7e, 0x7e, 0xfe]);
});

test("widen() and narrow() keep every bit of F32 but the payloads of NaN", () => {
  const random = randomFrom(1);
  const bits = Uint32Array.from({ length: 100_000 }, () => Math.floor(random() * 2 ** 32));
  bits.set([0, 0x80000000, 1, 0x807fffff, 0x7f800000, 0xff800000, 0x7f800001, 0xffc00000]);
  const back = new Uint32Array(narrow("F32", widen("F32", new Uint8Array(bits.buffer))).buffer);
  const isNan = (pattern: number): boolean => (pattern & 0x7fffffff) > 0x7f800000;
  expect(back).toEqual(bits.map((pattern) => (isNan(pattern) ? 0x7fc00000 : pattern)));
});

test("widen() rounds F64 to the nearest F32, halfway to the even one", () => {
  const doubles = [1 + 2 ** -24, 1 + 3 * 2 ** -24, 1 + 2 ** -24 + 2 ** -50, 1e300, -1e300, 2 ** -150, 0.1, Number.NaN];
  const floats = [1, 1 + 2 ** -22, 1 + 2 ** -23, Infinity, -Infinity, 0, Math.fround(0.1), Number.NaN];
  expect([...widen("F64", new Uint8Array(Float64Array.from(doubles).buffer))]).toEqual(floats);
});

test("narrow() writes F64 exactly, with one NaN", () => {
  const bytes = narrow("F64", Float32Array.of(0.1, -0, 2 ** -149, Number.NaN, -Infinity));
  expect([...new Float64Array(bytes.buffer)]).toEqual([Math.fround(0.1), -0, 2 ** -149, Number.NaN, -Infinity]);
  expect(new BigUint64Array(bytes.buffer)[3]).toBe(0x7ff8000000000000n);
});

test("widen() reads bytes at any address and refuses a piece of an element", () => {
  const shifted = new Uint8Array(9).subarray(1);
  new DataView(shifted.buffer, 1).setFloat32(4, 2.5, true);
  expect([...widen("F32", shifted)]).toEqual([0, 2.5]);
  for (const dtype of computableDtypes) {
    expect([...widen(dtype, new Uint8Array())]).toEqual([]);
    if (dtypeBytes(dtype) > 1) expect(() => widen(dtype, new Uint8Array(9)), dtype).toThrow(RangeError);
  }
});
