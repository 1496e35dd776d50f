import type { FileHandle } from "node:fs/promises";
import { open, readFile, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commit } from "../../../coordinator/assemble/commit.js";
import { openOwn } from "../../../coordinator/assemble/durable.js";
import { formatRecord } from "../../../coordinator/assemble/format-record.js";
import { readHistory } from "../../../coordinator/assemble/job-history.js";
import { Journal } from "../../../coordinator/assemble/journal.js";
import type { JournalFile } from "../../../coordinator/assemble/journal-file.js";
import type { JournalRecord } from "../../../coordinator/assemble/parse-record.js";
import { parseJournal } from "../../../coordinator/assemble/read-journal.js";
import { StagedFiles } from "../../../coordinator/assemble/staged-files.js";
import { withTempDir } from "../../support/checkpoints.js";
import { completeStaging, makePlan, outputBytes, testRecipe } from "../../support/plans.js";
import { openStaging } from "../../support/staging.js";

const options = { version: "1" };

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** A file of a disk that breaks in the given way; all else is real. */
function breaking(broken: Partial<FileHandle>): typeof openOwn {
  return async (path, flags) => {
    const handle = await openOwn(path, flags);
    return new Proxy(handle, {
      get: (target, name) => {
        const replaced: unknown = Reflect.get(broken, name);
        if (typeof replaced === "function") return replaced.bind(target);
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
}

async function stagedFiles(directory: string, open: typeof openOwn) {
  const plan = await makePlan(directory, { files: [[["one", "BF16", [1000]]]] });
  const files = new StagedFiles(plan, directory, open);
  await files.prepare();
  return {
    files,
    header: plan.files[0]?.header.length ?? 0,
    data: outputBytes(plan, { tensor: 0, begin: 0, end: 1000 }),
  };
}

test("A write that takes less than it was given is gone on with", async () => {
  await using dir = await withTempDir();
  const seen: number[] = [];
  const write: unknown = async function (this: FileHandle, data: Uint8Array, at: number, bytes: number, to: number) {
    seen.push(bytes);
    return await this.write(data, at, Math.min(bytes, 300), to);
  };
  const { files, header, data } = await stagedFiles(dir.path, breaking({ write } as Partial<FileHandle>));
  {
    await using opened = files;
    await opened.write(0, header, data);
    await opened.sync(0);
  }
  expect(seen).toEqual([2000, 1700, 1400, 1100, 800, 500, 200]);
  expect((await readFile(files.paths[0] ?? "")).subarray(header)).toEqual(Buffer.from(data));
});

test.each([
  ["EIO", "io_failed"],
  ["ENOSPC", "out_of_space"],
  ["EDQUOT", "out_of_space"],
])("%s of a write is a %s that names the file", async (errno, code) => {
  await using dir = await withTempDir();
  const write: unknown = () => Promise.reject(failure(errno));
  const { files, header, data } = await stagedFiles(dir.path, breaking({ write } as Partial<FileHandle>));
  await using opened = files;
  await expect(opened.write(0, header, data)).rejects.toMatchObject({
    code,
    message: expect.stringContaining("Cannot write"),
    details: { errno },
  });
});

test("A sync that failed ahead of the commit is not forgotten, though the next one succeeds", async () => {
  await using dir = await withTempDir();
  let fails = true;
  const sync = async function (this: FileHandle): Promise<void> {
    if (fails) throw failure("EIO");
    await this.sync();
  };
  const { files } = await stagedFiles(dir.path, breaking({ sync }));
  await using opened = files;
  opened.syncAhead(0);
  await expect(opened.sync(0)).rejects.toMatchObject({ code: "io_failed" });
  fails = false;
  await expect(opened.sync(0)).rejects.toMatchObject({ code: "io_failed" });
});

test("After a failed sync no byte of the file is believed, and the next run computes all of it again", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  {
    await using staging = await openStaging(plan, output, options);
    await completeStaging(staging);
    const { files } = staging.parts;
    const sync = files.sync.bind(files);
    files.sync = (file) => (file === 0 ? Promise.reject(failure("EIO")) : sync(file));
    await expect(commit(staging, { recipeText: testRecipe })).rejects.toThrow("EIO");
  }
  await using staging = await openStaging(plan, output, options);
  expect(staging.done.has(0)).toBe(false);
  expect(staging.done.has(2)).toBe(true);
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
});

/** A disk in memory that forgets what was not synced. */
class MemoryFile implements JournalFile {
  synced = Buffer.alloc(0);
  #written = Buffer.alloc(0);
  fail: "append" | "sync" | undefined;

  async append(bytes: Uint8Array): Promise<void> {
    if (this.fail === "append") throw failure("ENOSPC");
    this.#written = Buffer.concat([this.#written, bytes]);
  }

  async sync(): Promise<void> {
    if (this.fail === "sync") throw failure("EIO");
    this.synced = this.#written;
  }

  async close(): Promise<void> {}

  async *chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < this.synced.length; at += 7) yield this.synced.subarray(at, at + 7);
  }
}

function dropped(tensor: number): JournalRecord {
  return { type: "dropped", tensor, begin: 0, end: 1 };
}

test.each([
  ["append", "out_of_space"],
  ["sync", "io_failed"],
] as const)("A journal whose %s fails says so for good, and what it promised before is there", async (fail, code) => {
  const file = new MemoryFile();
  await using journal = new Journal(file, { name: "memory" });
  await journal.append([dropped(1)]);
  file.fail = fail;
  await expect(journal.append([dropped(2)])).rejects.toMatchObject({ code });
  file.fail = undefined;
  await expect(journal.append([dropped(3)])).rejects.toMatchObject({ code });
  expect((await parseJournal(file.chunks(), "memory")).records).toEqual([dropped(1)]);
});

test("A journal that became another process's is not written to", async () => {
  const file = new MemoryFile();
  const assertOurs = (): Promise<void> => Promise.reject(new Error("not ours"));
  await using journal = new Journal(file, { name: "memory", assertOurs });
  await expect(journal.append([dropped(1)])).rejects.toThrow("not ours");
  expect(file.synced).toHaveLength(0);
});

test("A history is read from any bytes, and a power cut at any of them costs only what came after", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, join(dir.path, "out"), options);
  await completeStaging(staging);
  const whole = await readFile(staging.parts.layout.journal);
  for (let size = 0; size <= whole.length; size += 97) {
    const file = new MemoryFile();
    file.synced = whole.subarray(0, size);
    const history = readHistory(await parseJournal(file.chunks(), "memory"), plan, options);
    if (history === undefined) continue;
    if ("reason" in history) throw new Error(history.reason);
    const lines = whole.subarray(0, size).toString().split("\n").length - 2;
    expect([...history.pieces.done.values()].flat()).toHaveLength(lines);
  }
});

test("Pieces whose bytes a power cut took are computed again, and the others are kept", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  let path = "";
  {
    await using staging = await openStaging(plan, output, options);
    await completeStaging(staging);
    path = staging.paths[0] ?? "";
  }
  // What a file system does that had the new size on the disk and not the bytes.
  const { size } = await stat(path);
  await truncate(path, size - 500);
  await using file = await open(path, "r+");
  await file.truncate(size);
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed.redonePieces).toBeGreaterThan(0);
  expect(staging.resumed.keptPieces).toBeGreaterThan(0);
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
});

test("A damaged line is told by its place, whatever came before it", async () => {
  const file = new MemoryFile();
  file.synced = Buffer.from(`${formatRecord(dropped(1))}{}\n${formatRecord(dropped(2))}`);
  const { records, problem } = await parseJournal(file.chunks(), "memory");
  expect(records).toEqual([dropped(1)]);
  expect(problem).toContain('Line 2 of journal "memory" is damaged');
});
