import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rowLimits } from "../../../../../coordinator/evaluate/data/limits.js";
import { readRows } from "../../../../../coordinator/evaluate/data/read-rows.js";
import { childrenOf } from "../../../../support/command.js";

const fixtures = fileURLToPath(new URL("../../../../../../test/fixtures/evaluate-data/", import.meta.url));
/** For a reader that works or dies by itself: where a machine is busy, both take long. */
const patient = { ...rowLimits, stallMs: 600_000 };
const source = (path: string) => ({ paths: [path], format: "parquet" }) as const;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "parquet-process-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** With one bit changed, the reader goes in circles. */
async function writeEndless(): Promise<string> {
  const content = await readFile(join(fixtures, "pages-v2.parquet"));
  content[463] = (content[463] ?? 0) ^ 0x80;
  const path = join(folder, "endless.parquet");
  await writeFile(path, content);
  return path;
}

/**
 * With the first page's levels one run of 134 million, the reader's array grows beyond what V8 allows. They are a length
 * in four bytes, and a run in two: its length times two, and the level.
 */
async function writeAborting(): Promise<string> {
  const content = await readFile(join(fixtures, "none.parquet"));
  const levels = content.indexOf(Uint8Array.of(2, 0, 0, 0, 4));
  expect(levels).toBeGreaterThan(0);
  content.set([0xfe, 0xff, 0xff, 0x7f], levels + 4);
  const path = join(folder, "aborting.parquet");
  await writeFile(path, content);
  return path;
}

test("damage that keeps the reader of Parquet busy without end is an error, and others go on meanwhile", async () => {
  const path = await writeEndless();
  // Whichever comes first.
  const reading = readRows(source(path), { limits: { ...rowLimits, stallMs: 1000 } }).catch((error: unknown) => error);
  const other = readRows(source(join(fixtures, "zstd.parquet")), { limits: patient });
  await expect(other).resolves.toHaveLength(6);
  expect(await reading).toMatchObject({
    code: "usage",
    message: `${path}  Cannot read the file as Parquet: nothing has moved for 1 s, it may be damaged`,
    details: { place: path },
  });
  await expect.poll(() => childrenOf(process.pid), { timeout: 100_000 }).toEqual([]);
});

test.skipIf(freemem() < 3 * 2 ** 30)(
  "damage that makes the engine abort is an error, and this process lives on (where 3 GB are free)",
  async () => {
    const path = await writeAborting();
    const reading = readRows(source(path), { limits: patient });
    await expect(reading).rejects.toMatchObject({ code: "usage", details: { place: path } });
    await expect(reading).rejects.toThrow(
      /: its reader ended with SIG(TRAP|ABRT|ILL): "Fatal JavaScript invalid size error \d+.*", it may be damaged$/,
    );
  },
);

test("a reader of Parquet that runs out of memory is an error, and this process lives on", async () => {
  const path = join(fixtures, "none.parquet");
  const reading = readRows(source(path), { limits: { ...patient, heapBytes: 4 << 20 } });
  await expect(reading).rejects.toThrow(`${path}  Reading a row group takes more than 4.19 MB, write it with smaller`);
});

test("a reader of Parquet that the system kills is an error of its own", async () => {
  const path = await writeEndless();
  const reading = readRows(source(path), { limits: patient }).catch((error: unknown) => error);
  await expect.poll(() => childrenOf(process.pid), { timeout: 100_000 }).toHaveLength(1);
  const [reader = 0] = await childrenOf(process.pid);
  process.kill(reader, "SIGKILL");
  expect(await reading).toMatchObject({ code: "out_of_memory", details: { place: path } });
});

test.skipIf(process.platform !== "linux")(
  "a reader of Parquet that is stuck does not outlive a process that is killed (where there is /proc)",
  async () => {
    const module = new URL("../../../../../coordinator/evaluate/data/read-rows.js", import.meta.url);
    const script = `import(${JSON.stringify(module.href)}).then(({ readRows }) => readRows(${JSON.stringify(source(await writeEndless()))}))`;
    const parent = spawn(process.execPath, ["-e", script], { stdio: "ignore" });
    const readers = (): Promise<readonly number[]> => childrenOf(parent.pid ?? 0);
    await expect.poll(readers, { timeout: 100_000 }).toHaveLength(1);
    const [reader = 0] = await readers();
    try {
      // Starting takes a fraction of this, and a busy machine gives it slowly.
      await expect.poll(() => processorSeconds(reader), { timeout: 100_000 }).toBeGreaterThan(2);
      parent.kill("SIGKILL");
      await expect.poll(() => processorSeconds(reader), { timeout: 100_000 }).toBeUndefined();
    } finally {
      parent.kill("SIGKILL");
      if ((await processorSeconds(reader)) !== undefined) process.kill(reader, "SIGKILL");
    }
  },
);

/** What a process has used, in hundredths on every Linux; see proc(5), fields 14 and 15. Undefined once it has ended. */
async function processorSeconds(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return stat === "" || fields[0] === "Z" ? undefined : (Number(fields[11]) + Number(fields[12])) / 100;
}
