import { existsSync } from "node:fs";
import { appendFile, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatRecord } from "../../../../coordinator/assemble/format-record.js";
import { Journal } from "../../../../coordinator/assemble/journal.js";
import { type JournalRecord, parseRecord } from "../../../../coordinator/assemble/parse-record.js";
import { readJournal } from "../../../../coordinator/assemble/read-journal.js";
import { withTempDir } from "../../../support/checkpoints.js";

function dropped(tensor: number): JournalRecord {
  return { type: "dropped", tensor, begin: 0, end: 1 };
}

const piece: JournalRecord = {
  type: "piece",
  tensor: 3,
  begin: 0,
  end: 10,
  bytes: 20,
  crc32: 0xffff_ffff,
  nonFinite: 1,
  overflowed: 0,
  largest: Number.POSITIVE_INFINITY,
  inputsNonFinite: [0, 7],
  unit: 1,
  epoch: 2,
  agent: 'an "agent"\nwith a line break',
};

async function writeJournal(path: string, records: readonly JournalRecord[]): Promise<void> {
  await using journal = await Journal.open(path);
  await journal.append(records);
}

test("formatRecord() and parseRecord() keep every number, also those that JSON has no word for", () => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0.1, 5e-324, 1.7e308, -3];
  const record: JournalRecord = { type: "statistics", pass: 0, entries: [{ program: 0, slot: 1, values }] };
  for (const written of [record, piece]) {
    const line = formatRecord(written);
    expect(line.match(/\n/g)).toHaveLength(1);
    expect(parseRecord(line.trimEnd())).toEqual(written);
  }
});

test("parseRecord() does not believe a line in which anything was changed", () => {
  const line = formatRecord(piece).trimEnd();
  for (let at = 0; at < line.length; at += 1) {
    const changed = `${line.slice(0, at)}${line[at] === "7" ? "8" : "7"}${line.slice(at + 1)}`;
    expect(parseRecord(changed)).toBeUndefined();
  }
  expect(parseRecord("")).toBeUndefined();
  expect(parseRecord(line.slice(0, -1))).toBeUndefined();
  expect(parseRecord('{"type":"dropped"}')).toBeUndefined();
});

test("readJournal() is undefined where there is no journal", async () => {
  await using dir = await withTempDir();
  expect(await readJournal(join(dir.path, "journal.jsonl"))).toBeUndefined();
});

test("A journal cut anywhere gives the records before the cut, and no complaint", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "journal.jsonl");
  const records = [dropped(1), piece, dropped(2)];
  await writeJournal(path, records);
  const whole = await readFile(path);
  const ends = records.map((_, i) =>
    Buffer.byteLength(
      records
        .slice(0, i + 1)
        .map(formatRecord)
        .join(""),
    ),
  );
  for (let size = whole.length; size >= 0; size -= 1) {
    await truncate(path, size);
    const read = await readJournal(path);
    const complete = ends.filter((end) => end <= size).length;
    expect(read?.records).toEqual(records.slice(0, complete));
    expect(read?.trustedBytes).toBe(ends[complete - 1] ?? 0);
    expect(read?.problem).toBeUndefined();
  }
});

test("A damaged line in the middle is named, and nothing after it is trusted", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "journal.jsonl");
  await writeJournal(path, [dropped(1), dropped(2), dropped(3)]);
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace('"tensor":2', '"tensor":5'));
  const read = await readJournal(path);
  expect(read?.records).toEqual([dropped(1)]);
  expect(read?.problem).toMatch(/^Line 2 of journal .* is damaged: the \d+ bytes after it are not trusted/);
});

test("Zeros where a power cut lost a page end the journal", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "journal.jsonl");
  await writeJournal(path, [dropped(1)]);
  await appendFile(path, Buffer.alloc(5000));
  const read = await readJournal(path);
  expect(read?.records).toEqual([dropped(1)]);
  expect(read?.problem).toBeUndefined();
});

test("Journal.open() cuts off what is not trusted and goes on after it", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "journal.jsonl");
  await writeJournal(path, [dropped(1)]);
  await appendFile(path, '{"type":"dropped","ten');
  {
    await using journal = await Journal.open(path, (await readJournal(path))?.trustedBytes);
    await journal.append([dropped(2)]);
  }
  expect((await readJournal(path))?.records).toEqual([dropped(1), dropped(2)]);
});

test("append() has everything in the file when it resolves, in the order of the calls", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "journal.jsonl");
  await using journal = await Journal.open(path);
  const all = Array.from({ length: 500 }, (_, i) => dropped(i));
  let seen = 0;
  await Promise.all(
    all.map(async (record, i) => {
      await journal.append([record]);
      seen += 1;
      if (i % 100 === 0) {
        const read = await readJournal(path);
        expect(read?.records.slice(0, i + 1)).toEqual(all.slice(0, i + 1));
      }
    }),
  );
  expect(seen).toBe(500);
  expect((await readJournal(path))?.records).toEqual(all);
});

const hasFull = existsSync("/dev/full");

test.skipIf(!hasFull)("append() fails for good after a failure (skipped where there is no /dev/full)", async () => {
  await using journal = await Journal.open("/dev/full");
  const results = await Promise.allSettled([journal.append([dropped(1)]), journal.append([dropped(2)])]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await expect(journal.append([])).rejects.toMatchObject({
    code: "out_of_space",
    message: expect.stringContaining('Cannot write journal "/dev/full"'),
  });
});
