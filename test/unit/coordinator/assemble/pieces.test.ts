import { expect, test } from "vitest";
import { bytesOf, Pieces } from "../../../../coordinator/assemble/pieces.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { makePlan, resultFor } from "../../../support/plans.js";

test("Pieces know which tensors and files are whole, whatever the order pieces come in", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const pieces = new Pieces(plan);
  for (const [begin, end] of [
    [400, 640],
    [0, 100],
    [100, 400],
  ] as const) {
    expect(pieces.isFileWhole(0)).toBe(false);
    expect(pieces.add(resultFor(plan, { tensor: 0, begin, end }))).toBe(true);
  }
  expect(pieces.of(0).map(({ begin }) => begin)).toEqual([0, 100, 400]);
  expect(pieces.isFileWhole(0)).toBe(false);
  pieces.add(resultFor(plan, { tensor: 1, begin: 0, end: 16 }));
  expect(pieces.isFileWhole(0)).toBe(true);
  expect(pieces.isWhole).toBe(false);
  pieces.add(resultFor(plan, { tensor: 2, begin: 0, end: 384 }));
  expect(pieces.isWhole).toBe(true);
});

test("Pieces keep the first piece for a range and ignore what adds nothing", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const pieces = new Pieces(plan);
  pieces.add({ ...resultFor(plan, { tensor: 0, begin: 0, end: 100 }), crc32: 1 });
  pieces.add({ ...resultFor(plan, { tensor: 0, begin: 100, end: 200 }), crc32: 2 });
  expect(pieces.add({ ...resultFor(plan, { tensor: 0, begin: 0, end: 100 }), crc32: 3 })).toBe(false);
  expect(pieces.add({ ...resultFor(plan, { tensor: 0, begin: 50, end: 150 }), crc32: 4 })).toBe(false);
  expect(pieces.of(0).map((piece) => piece.crc32)).toEqual([1, 2]);
});

test("Pieces refuse a piece that overlaps others and reaches beyond them", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const pieces = new Pieces(plan);
  pieces.add(resultFor(plan, { tensor: 0, begin: 0, end: 100 }));
  expect(() => pieces.add(resultFor(plan, { tensor: 0, begin: 50, end: 150 }))).toThrow(
    'Cannot add elements [50, 150) of "embed.weight": it overlaps elements [0, 100)',
  );
});

test("Pieces refuse receipts that speak of other bytes than the plan", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const pieces = new Pieces(plan);
  const sound = resultFor(plan, { tensor: 0, begin: 0, end: 100 });
  for (const wrong of [{ bytes: 199 }, { end: 641, bytes: 1282 }, { begin: -1 }, { begin: 0.5 }, { begin: 101 }]) {
    expect(() => pieces.add({ ...sound, ...wrong })).toThrow("Cannot accept");
  }
  expect(pieces.done.size).toBe(0);
});

test("Pieces that are dropped are missing again", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const pieces = new Pieces(plan);
  const piece = { tensor: 2, begin: 0, end: 384 };
  pieces.add(resultFor(plan, piece));
  expect(pieces.isFileWhole(1)).toBe(true);
  pieces.drop(piece);
  expect(pieces.isFileWhole(1)).toBe(false);
  expect(pieces.add(resultFor(plan, piece))).toBe(true);
});

test("A tensor without elements needs no piece, and one that comes is ignored", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path, { files: [[["empty", "F32", [0, 4]]]] });
  const pieces = new Pieces(plan);
  expect(pieces.isWhole).toBe(true);
  expect(pieces.add(resultFor(plan, { tensor: 0, begin: 0, end: 0 }))).toBe(false);
});

test("bytesOf() counts elements of less than a byte", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path, { files: [[["packed", "F4", [64]]]] });
  const [planned] = plan.tensors;
  const offset = planned?.offset ?? 0;
  expect(planned && bytesOf(planned, { begin: 16, end: 48 })).toEqual({ begin: offset + 8, end: offset + 24 });
});

test("Pieces.contiguousFrom() goes on from a byte to the first gap, over tensors without elements", async () => {
  await using dir = await withTempDir();
  const entries = [
    ["first", "F32", [4]],
    ["empty", "F32", [0]],
    ["second", "F32", [4]],
    ["third", "F32", [4]],
  ] as const;
  const plan = await makePlan(dir.path, { files: [entries] });
  const pieces = new Pieces(plan);
  const start = plan.files[0]?.header.length ?? 0;
  const ends = (byte: number): number[] => pieces.contiguousFrom(0, start + byte).map(({ range }) => range.end - start);
  expect(ends(0)).toEqual([]);
  pieces.add(resultFor(plan, { tensor: 2, begin: 0, end: 2 }));
  pieces.add(resultFor(plan, { tensor: 2, begin: 2, end: 4 }));
  expect(ends(0)).toEqual([]);
  expect(ends(16)).toEqual([24, 32]);
  expect(ends(24)).toEqual([32]);
  pieces.add(resultFor(plan, { tensor: 0, begin: 0, end: 4 }));
  expect(ends(0)).toEqual([16, 24, 32]);
  pieces.add(resultFor(plan, { tensor: 3, begin: 1, end: 4 }));
  expect(ends(0)).toEqual([16, 24, 32]);
  pieces.add(resultFor(plan, { tensor: 3, begin: 0, end: 1 }));
  expect(ends(0)).toEqual([16, 24, 32, 36, 48]);
  expect(ends(48)).toEqual([]);
});
