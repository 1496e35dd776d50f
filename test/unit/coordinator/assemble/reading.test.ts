import { createHash } from "node:crypto";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { type CheckedRange, checkRanges, HashedFile, hashFile } from "../../../../coordinator/assemble/reading.js";
import { randomFrom, withTempDir } from "../../../support/checkpoints.js";

function randomBytes(count: number): Buffer {
  const random = randomFrom(count);
  return Buffer.alloc(count).map(() => Math.floor(random() * 256)) as Buffer;
}

function rangesOf(content: Buffer, length: number): CheckedRange[] {
  return Array.from({ length: Math.ceil(content.length / length) }, (_, i) => {
    const [begin, end] = [i * length, Math.min(content.length, (i + 1) * length)];
    return { begin, end, crc32: crc32(content.subarray(begin, end)) };
  });
}

const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

test("hashFile() gives the SHA-256 of a file of any size", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "file");
  for (const bytes of [0, 1, 4096, 9_000_001]) {
    const content = randomBytes(bytes);
    await writeFile(path, content);
    expect(await hashFile(path, bytes)).toBe(sha256(content));
  }
});

test("HashedFile goes on where it ended, and names the ranges that differ", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "file");
  const content = randomBytes(100_000);
  await writeFile(path, content);
  const ranges = rangesOf(content, 7_000).filter((_, i) => i !== 3);
  const wrong = ranges.map((range, i) => (i === 2 || i === 9 ? { ...range, crc32: range.crc32 ^ 1 } : range));
  const file = new HashedFile(path);
  expect(await file.read(14_000, wrong.slice(0, 2))).toEqual([]);
  expect(file.position).toBe(14_000);
  expect(await file.read(100_000, wrong.slice(2))).toEqual([0, 7]);
  expect(await file.digest()).toBe(sha256(content));
});

test("HashedFile of a file that is too short is a failed read that says where it ends", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "file");
  await writeFile(path, "12345");
  await expect(new HashedFile(path).read(10, [])).rejects.toThrow("it ends at byte 5 and should go on to 10");
  await expect(new HashedFile(join(dir.path, "none")).read(1, [])).rejects.toMatchObject({ code: "io_failed" });
});

test("checkRanges() names the ranges that differ, those beyond the end of the file included", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "file");
  const content = randomBytes(50_000);
  await writeFile(path, content);
  const ranges = rangesOf(content, 1_000).filter((_, i) => i % 2 === 0);
  expect(await checkRanges(path, ranges)).toEqual([]);
  await writeFile(path, content.fill(0, 4_500, 4_510));
  await truncate(path, 46_500);
  expect(await checkRanges(path, ranges)).toEqual([2, 23, 24]);
});

test("Many files are read at once and none gets another's answer", async () => {
  await using dir = await withTempDir();
  const contents = Array.from({ length: 20 }, (_, i) => randomBytes(1_000 * (i + 1)));
  const digests = contents.map(async (content, i) => {
    const path = join(dir.path, String(i));
    await writeFile(path, content);
    return hashFile(path, content.length);
  });
  expect(await Promise.all(digests)).toEqual(contents.map(sha256));
});
