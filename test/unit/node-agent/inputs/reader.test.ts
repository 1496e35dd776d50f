import { expect, test } from "vitest";
import { TileMemory } from "../../../../node-agent/compute/wasm/memory.js";
import { CombinedRows } from "../../../../node-agent/inputs/combinations.js";
import type { PieceInput } from "../../../../node-agent/inputs/input.js";
import { openInputs } from "../../../../node-agent/inputs/open.js";
import { ReadContext } from "../../../../node-agent/inputs/reader.js";
import { tileSlack } from "../../../../shared/expression/tiles.js";

const columns = 1_000;

/** One row, which is the mean of 40,000 rows: 80 MB that are read before the first tile is done. */
const mean: PieceInput = {
  file: 0,
  offset: 0,
  dtype: "F32",
  rows: {
    tensors: [{ file: 0, offset: 0, dtype: "BF16", rows: 40_000 }],
    firstRow: 0,
    segments: [{ kind: "combination", count: 1, terms: [{ tensor: 0, row: 0, rows: 40_000, weight: 1 / 40_000 }] }],
  },
};

function readMean(progress: (bytesRead: number) => void): ReadContext {
  const memory = new TileMemory(4 << 20);
  const context = new ReadContext(memory, (_, into) => into.fill(0), progress);
  const tile = memory.allocate(4 * (columns + tileSlack), "a tile");
  for (const reader of openInputs([mean], [1, columns], context, new CombinedRows())) reader.read(0, columns, tile);
  return context;
}

test("a long read reports as it goes, in bounded memory, and every byte once", () => {
  const reports: number[] = [];
  const context = readMean((bytes) => void reports.push(bytes));
  expect(reports.length).toBeGreaterThan(5);
  expect(reports.reduce((total, bytes) => total + bytes, context.takeBytesRead())).toBe(40_000 * columns * 2);
  expect(context.takeBytesRead()).toBe(0);
});

test("a long read ends when nobody wants it any more", () => {
  let read = 0;
  const canceled = new Error("canceled");
  expect(() =>
    readMean((bytes) => {
      read += bytes;
      throw canceled;
    }),
  ).toThrow(canceled);
  expect(read).toBeLessThan(10e6);
});
