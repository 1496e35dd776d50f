import { expect, test } from "vitest";
import { rankRow } from "../../../../node-agent/compute/rank.js";
import { RowRanker } from "../../../../node-agent/compute/row-ranker.js";
import { TileMemory } from "../../../../node-agent/compute/wasm/memory.js";
import { maxRanked } from "../../../../node-agent/compute/wasm/rank-row.js";
import { Graph } from "../../../../shared/expression/expression.js";
import { schedule } from "../../../../shared/expression/passes.js";
import { tileSlack, workerBytes } from "../../../../shared/expression/tiles.js";
import { normals, seeded, wildValues } from "../../../support/random.js";

type Values = (count: number, random: () => number) => Float32Array;

/** Ranks rows of up to `elements`, and looks whether anything is written behind the ranks. */
function rankerOf(elements: number): (values: Float32Array) => Uint32Array {
  const memory = new TileMemory(16 << 20);
  const ranker = new RowRanker(memory, elements, "a row");
  const ranks = memory.allocate(4 * (elements + tileSlack), "ranks");
  const guard = memory.allocate(64, "what lies behind");
  // What lay in memory before.
  memory.bytes(0, guard).fill(0xa5);
  return (values) => {
    new Float32Array(memory.memory.buffer, ranker.address, values.length).set(values);
    ranker.rank(ranks, values.length);
    expect(memory.bytes(guard, 64)).toEqual(new Uint8Array(64));
    return new Uint32Array(memory.memory.buffer, ranks, values.length).slice();
  };
}

/** The bits of what rankRow() says. */
function expectedRanks(values: Float32Array): Uint32Array {
  const scratch = [new Uint32Array(values.length), new Uint32Array(values.length)] as const;
  const ranks = new Float32Array(values.length);
  rankRow({ bits: new Uint32Array(values.slice().buffer), ranks, scratch }, values.length);
  return new Uint32Array(ranks.buffer);
}

function each(value: (random: () => number, place: number) => number): Values {
  return (length, random) => Float32Array.from({ length }, (_, place) => value(random, place));
}

const bf16 = (x: number): number =>
  new Float32Array(Uint32Array.of((new Uint32Array(Float32Array.of(x).buffer)[0] ?? 0) & 0xffff_0000).buffer)[0] ?? 0;

const kinds: readonly (readonly [string, Values])[] = [
  ["normal", normals],
  ["task vectors of bf16", each((random) => bf16(0.1 * random() + 0.001 * random()) - bf16(0.1 * random()))],
  ["wild", wildValues],
  ["finite and wild", (count, random) => wildValues(count, random).map((x) => (Number.isFinite(x) ? x : 2))],
  ["four values", each((random) => Math.floor(random() * 4) - 2)],
  ["equal", each(() => -0.25)],
  ["zero", each((random) => (random() < 0.5 ? 0 : -0))],
  ["mostly zero", each((random) => (random() < 0.9 ? 0 : random() - 0.5))],
  ["subnormal", each((random) => 1e-40 * (random() - 0.5))],
  ["as large as f32 goes", each((random) => 3.4e38 * (random() - 0.5) * 2)],
  ["ascending", each((_, place) => place)],
  ["descending", each((_, place) => -1e6 + place)],
  ["normal but for one", each((random, place) => (place === 1 ? 1e30 : random()))],
  ["even over all exponents", each((random) => 2 ** (250 * random() - 125))],
  ["with a NaN", each((random, place) => (place === 1 ? Number.NaN : random()))],
  ["with an infinity", each((random, place) => (place === 0 ? -Infinity : random()))],
];

test.each(kinds)("RowRanker gives rankRow()'s bits for rows that are %s", (_, values) => {
  const longest = 5_001;
  const ranksOf = rankerOf(longest);
  for (const length of [longest, 1, 2, 3, 4, 5, 16, 17, 18, 255, 2_047, 2_048]) {
    const row = values(length, seeded(length));
    expect(ranksOf(row)).toEqual(expectedRanks(row));
  }
});

test("RowRanker sorts bins of every length", () => {
  const ranksOf = rankerOf(1_000);
  const random = seeded(3);
  for (let length = 2; length <= 40; length += 1) {
    // Steps of f32 next to one value: they share a bin. Others set the mean.
    const row = normals(1_000, random).fill(0);
    for (let i = 0; i < 1_000; i += 1) row[i] = i < length ? 1 + 2 ** -23 * Math.floor(16 * random()) : i / 400;
    expect(ranksOf(row)).toEqual(expectedRanks(row));
  }
});

test.each([maxRanked, maxRanked + 1])("RowRanker ranks a row of %i elements", (length) => {
  const row = normals(length, seeded(9));
  expect(rankerOf(length)(row)).toEqual(expectedRanks(row));
});

test("RowRanker says what it has no memory for", () => {
  expect(() => new RowRanker(new TileMemory(1 << 18), 1 << 16, "a row of 65536 elements")).toThrow(
    /Cannot hold a row of 65536 elements: /,
  );
});

test.each([2, 2_047, 2_048, 5_001, maxRanked, 1 << 17])(
  "RowRanker takes what a plan expects of %i elements",
  (length) => {
    const memory = new TileMemory(64 << 20);
    new RowRanker(memory, length, "a row");
    const graph = new Graph();
    const x = graph.input();
    const [plain, ranking] = [x.times(x.sumOver("row")), x.times(x.rankInRow())].map((output) =>
      workerBytes(4, [1, length], schedule(graph.finish(output))),
    );
    const ranks = 4 * length;
    // Regions begin at whole cache lines.
    expect(memory.allocate(0, "the end")).toBeLessThan(Number(ranking) - Number(plain) - ranks + 512);
  },
);
