import { expect, test } from "vitest";
import { rankRow } from "../../../../node-agent/compute/rank.js";
import { normals, seeded, wildValues } from "../../../support/random.js";

function ranksOf(values: Float32Array): number[] {
  const bits = new Uint32Array(values.slice().buffer);
  const ranks = new Float32Array(values.length);
  rankRow({ bits, ranks, scratch: [new Uint32Array(values.length), new Uint32Array(values.length)] }, values.length);
  return [...ranks];
}

/** By comparison of numbers, where the code under test moves digits. */
function naiveRanks(values: Float32Array): number[] {
  const order = [...values.entries()].sort(([i, x], [j, y]) => {
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || i - j;
    return Math.abs(x) === Math.abs(y) ? i - j : Math.abs(x) < Math.abs(y) ? -1 : 1;
  });
  const ranks = new Array<number>(values.length).fill(Number.NaN);
  order.forEach(([index], place) => {
    ranks[index] = Math.fround(place / (values.length - 1));
  });
  return ranks;
}

const lengths = [2, 3, 17, 255, 2_047, 2_048, 5_000];

test.each(lengths)("rankRow() ranks %i elements as a sort by magnitude and place does", (length) => {
  const random = seeded(length);
  expect(ranksOf(normals(length, random))).toEqual(naiveRanks(normals(length, seeded(length))));
  const wild = wildValues(length, random);
  expect(ranksOf(wild)).toEqual(naiveRanks(wild));
  const tied = Float32Array.from({ length }, () => Math.floor(random() * 4) - 2);
  expect(ranksOf(tied)).toEqual(naiveRanks(tied));
});

test("rankRow() puts the earlier of two equal magnitudes lower, whatever their signs", () => {
  expect(ranksOf(Float32Array.of(-0, 0, -1, 1, 0.5))).toEqual([0, 0.25, 0.75, 1, 0.5]);
  expect(ranksOf(new Float32Array(5).fill(7))).toEqual([0, 0.25, 0.5, 0.75, 1]);
});

test("rankRow() puts every NaN above infinity, in order of place", () => {
  const bits = Uint32Array.of(0xffff_ffff, 0x7f80_0000, 0x7f80_0001, 0xff80_0000, 0x7fc0_0000);
  expect(ranksOf(new Float32Array(bits.buffer))).toEqual([0.5, 0, 0.75, 0.25, 1]);
});

test("rankRow() has nothing to compare one element with", () => {
  expect(ranksOf(Float32Array.of(3))).toEqual([0.5]);
  expect(ranksOf(Float32Array.of(Number.NaN))).toEqual([0.5]);
});
