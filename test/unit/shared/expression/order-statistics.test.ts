import { expect, test } from "vitest";
import {
  keyBits,
  orderedBits,
  selectLowerBits,
  selectUpperBits,
} from "../../../../shared/expression/order-statistics.js";
import { seeded, wildValues } from "../../../support/random.js";

/** As the passes do it: count upper halves, pick the bin, count lower halves there. */
function kthLargest(values: Float32Array, k: number): number {
  const upper = new Float64Array(1 << 16);
  const keys = [...values].map((x) => keyBits("upperOrder", x));
  for (const key of keys) upper[key >>> 16] = (upper[key >>> 16] ?? 0) + 1;
  const [bin, rank] = selectUpperBits(upper, k);
  const lower = new Float64Array(1 << 16);
  for (const key of keys) if (key >>> 16 === bin) lower[key & 0xffff] = (lower[key & 0xffff] ?? 0) + 1;
  return selectLowerBits("lowerOrder", lower, bin, rank);
}

function naive(values: Float32Array, k: number): number {
  const descending = [...values].sort((x, y) => {
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(y)) - Number(Number.isNaN(x));
    return y - x || Number(Object.is(x, -0)) - Number(Object.is(y, -0));
  });
  return descending[Math.min(k, values.length) - 1] ?? Infinity;
}

test("orderedBits() sorts as the numbers do: negative ones, −0, +0, positive ones, ∞, NaN", () => {
  const ascending = [-Infinity, -3.4e38, -1, -1e-45, -0, 0, 1e-45, 0.5, 1, Infinity, Number.NaN];
  const keys = ascending.map(orderedBits);
  expect(keys).toEqual(keys.toSorted((a, b) => a - b));
  expect(new Set(keys).size).toBe(keys.length);
  expect(Math.max(...keys)).toBeLessThan(2 ** 32);
  expect(Math.min(...keys)).toBeGreaterThanOrEqual(0);
});

test("two counting passes find the k-th largest of any numbers", () => {
  const values = wildValues(3_000, seeded(9));
  for (const k of [1, 2, 100, 1_499, 1_500, 1_501, 2_600, 2_999, 3_000, 5_000]) {
    expect(kthLargest(values, k)).toBe(naive(values, k));
  }
});

test("nothing asked for, or nothing there, gives +∞", () => {
  expect(kthLargest(Float32Array.of(-1, -2), 0)).toBe(Infinity);
  expect(kthLargest(new Float32Array(), 1)).toBe(Infinity);
  expect(kthLargest(Float32Array.of(-1, -2), Number.NaN)).toBe(Infinity);
});
