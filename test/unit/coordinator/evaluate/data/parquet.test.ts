import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RowLimits, rowLimits } from "../../../../../coordinator/evaluate/data/limits.js";
import { readRows } from "../../../../../coordinator/evaluate/data/read-rows.js";

const fixtures = fileURLToPath(new URL("../../../../../../test/fixtures/evaluate-data/", import.meta.url));

/** As make_parquet.py beside the files has them, a column at a time. */
const columns: Readonly<Record<string, readonly unknown[]>> = {
  text: ["good", "bad", null, "grüße 🌍", "", "good"],
  label: [1, 0, 1, null, 0, 1],
  score: [0.5, -1.25, null, 3, Math.fround(1e-3), 2],
  big: [9007199254740991, 9007199254740994n, -1152921504606846976n, 0, 1, null],
  kind: ["a", "b", "a", "b", "a", null],
  choices: [
    { text: ["one", "two"], label: ["A", "B"] },
    { text: [], label: null },
    null,
    { text: ["x", null], label: ["A", "B"] },
    { text: ["y"], label: ["A"] },
    { text: ["z"], label: ["A"] },
  ],
  image: [0, 1, 2, 3, 4, 5].map((i) => ({ bytes: Uint8Array.of(0xff, 0xd8, i), path: `${i}.jpg` })),
  turns: [
    [
      { role: "user", content: "hi" },
      { role: "assistant", content: "yo" },
    ],
    [],
    null,
    [],
    [],
    [],
  ],
  flag: [true, false, null, true, false, true],
  day: Array<string>(6).fill("2024-02-29T00:00:00.000Z"),
  time: Array<string>(6).fill("2024-02-29T12:30:00.000Z"),
};

function expected(count: number, names = Object.keys(columns)): unknown[] {
  return Array.from({ length: count }, (_, row) =>
    Object.fromEntries(names.map((name) => [name, columns[name]?.[row]])),
  );
}

const source = (path: string) => ({ paths: [path], format: "parquet" }) as const;

test.each(["none", "snappy", "gzip", "zstd", "brotli", "lz4", "pages-v2"])(
  "readRows() reads Parquet with nested columns, dictionaries and nulls: %s",
  async (name) => {
    const path = join(fixtures, `${name}.parquet`);
    const rows = await readRows(source(path));
    expect(rows.map(({ fields }) => fields)).toEqual(expected(6));
    expect(rows[4]?.place).toBe(`${path}, row 5`);
  },
);

test.each([1, 2, 3, 5])(
  "readRows() stops after %i rows of Parquet, inside a row group or at its end",
  async (limit) => {
    const rows = await readRows(source(join(fixtures, "snappy.parquet")), { limit });
    expect(rows.map(({ fields }) => fields)).toEqual(expected(limit));
  },
);

test("a limit of rows goes over files of Parquet", async () => {
  const paths = ["none", "zstd"].map((name) => join(fixtures, `${name}.parquet`));
  const rows = await readRows({ paths, format: "parquet" }, { limit: 8 });
  expect(rows.map(({ fields }) => fields)).toEqual([...expected(6), ...expected(2)]);
  expect(rows[7]?.place).toBe(`${paths[1]}, row 2`);
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "parquet-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A good file with some bytes of it changed. */
async function spoiled(name: string, change: (content: Buffer) => Buffer): Promise<string> {
  const path = join(folder, `${name}.parquet`);
  await writeFile(path, change(await readFile(join(fixtures, "snappy.parquet"))));
  return path;
}

test.each<[name: string, change: (content: Buffer) => Buffer, problem: RegExp]>([
  ["short", (content) => content.subarray(0, 9), /has 9 bytes, too few for Parquet/],
  ["cut", (content) => content.subarray(0, content.length - 100), /Not a Parquet file: it does not end with "PAR1"/],
  [
    "boastful",
    (content) => {
      content.writeUInt32LE(0xfffffff0, content.length - 8);
      return content;
    },
    /footer claims 4.29 GB/,
  ],
  [
    "garbled footer",
    (content) => content.fill(0xee, content.length - 300, content.length - 8),
    /Cannot read the file as Parquet: /,
  ],
  ["garbled pages", (content) => content.fill(0xee, 4, 1000), /Cannot read the file as Parquet: /],
])("readRows() refuses Parquet that is %s", async (name, change, problem) => {
  const path = await spoiled(name.replace(" ", "-"), change);
  const reading = readRows(source(path));
  await expect(reading).rejects.toThrow(problem);
  await expect(reading).rejects.toThrow(path);
});

test.each<[what: string, name: string, limits: Partial<RowLimits>, problem: RegExp]>([
  ["rows", "snappy", { rows: 5 }, /There are more than 5 rows, give the task a limit$/],
  [
    "bytes that the footer claims",
    "snappy",
    { bytes: 1000 },
    /The rows take more than 1.00 KB, give the task a smaller/,
  ],
  [
    "bytes that rows turn out to have",
    "repeated",
    { bytes: 1 << 20 },
    /The rows take more than 1.05 MB, give the task/,
  ],
  ["bytes of a page", "gzip", { pageBytes: 10 }, /as Parquet: a page claims \d+ B, the limit is 10 B$/],
])("readRows() has a limit for %s (%s.parquet)", async (_what, name, limits, problem) => {
  const path = join(fixtures, `${name}.parquet`);
  await expect(readRows(source(path), { limits: { ...rowLimits, ...limits } })).rejects.toThrow(problem);
  await expect(readRows(source(path))).resolves.not.toHaveLength(0);
});
