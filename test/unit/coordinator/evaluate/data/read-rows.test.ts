import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RowLimits, rowLimits } from "../../../../../coordinator/evaluate/data/limits.js";
import { readRows } from "../../../../../coordinator/evaluate/data/read-rows.js";
import type { DataFormat } from "../../../../../coordinator/evaluate/data/source.js";
import { writeCheckpoint } from "../../../../support/checkpoints.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rows-"));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;

/** Writes a file of its own, and returns its path. */
async function written(content: string | Uint8Array): Promise<string> {
  files += 1;
  const path = join(folder, `${files}.data`);
  await writeFile(path, content);
  return path;
}

/** The rows as `line: fields`, the path left out. */
async function rowsOf(format: DataFormat, content: string | Uint8Array, limit?: number): Promise<unknown[]> {
  const path = await written(content);
  const rows = await readRows({ paths: [path], format }, { limit });
  return rows.map(({ fields, place }) => [place.replace(`${path}:`, ""), fields]);
}

const bom = "\uFEFF";

test.each<[what: string, format: DataFormat, content: string, rows: unknown[]]>([
  [
    "a line each",
    "jsonl",
    '{"a":1}\n{"a":"x","b":[null,{"c":1.5}]}\n',
    [
      ["1", { a: 1 }],
      ["2", { a: "x", b: [null, { c: 1.5 }] }],
    ],
  ],
  [
    "no end of line at the end",
    "jsonl",
    '{"a":1}\n{"a":2}',
    [
      ["1", { a: 1 }],
      ["2", { a: 2 }],
    ],
  ],
  [
    "blank lines, CRLF and a byte order mark",
    "jsonl",
    `${bom}{"a":1}\r\n\r\n  \n{"a":2}\r\n`,
    [
      ["1", { a: 1 }],
      ["4", { a: 2 }],
    ],
  ],
  ["line separators of Unicode inside a text", "jsonl", '{"a":"x\u2028y"}\n', [["1", { a: "x\u2028y" }]]],
  [
    "CSV, all of it text",
    "csv",
    "a,b\n1,x\n,y\n",
    [
      ["2", { a: "1", b: "x" }],
      ["3", { a: "", b: "y" }],
    ],
  ],
  [
    "CSV with quotes, commas and line breaks inside",
    "csv",
    'a,b\r\n"x, ""y""","1\n2\n3"\r\nz,w\r\n',
    [
      ["2", { a: 'x, "y"', b: "1\n2\n3" }],
      ["5", { a: "z", b: "w" }],
    ],
  ],
  [
    "CSV with a byte order mark and blank lines",
    "csv",
    `${bom}a\n\n1\n\n2\n`,
    [
      ["3", { a: "1" }],
      ["5", { a: "2" }],
    ],
  ],
  ["tabs, where quotes are plain", "tsv", 'a\tb\n"x\ty "z"\n', [["2", { a: '"x', b: 'y "z"' }]]],
])("readRows() reads %s", async (_what, format, content, rows) => {
  expect(await rowsOf(format, content)).toEqual(rows);
});

test.each<[what: string, format: DataFormat, content: string | Uint8Array, problem: RegExp]>([
  ["a list", "jsonl", '{"a":1}\n[1]\n', /data:2:1 {2}A row must be a JSON object, found a list$/],
  ["a bare text", "jsonl", '"a"\n', /data:1:1 {2}A row must be a JSON object, found the string "a"$/],
  ["null", "jsonl", "null\n", /data:1:1 {2}A row must be a JSON object, found null$/],
  ["no value", "jsonl", '{"a":1}\n\n{"ä":}\n', /data:3:6 {2}Not valid JSON: /],
  ["an unfinished object", "jsonl", '{"a":1\n{"a":2}\n', /data:1:\d+ {2}Not valid JSON: /],
  ["two objects on a line", "jsonl", '{"a":1} {"a":2}\n', /data:1:9 {2}Not valid JSON: the line goes on/],
  ["Python's NaN", "jsonl", '{"a":NaN}\n', /data:1 {2}Not valid JSON: .*NaN/],
  ["Latin-1", "jsonl", Uint8Array.of(0x7b, 0x22, 0xe4, 0x22, 0x3a, 0x31, 0x7d), /data:1 {2}The line is not UTF-8$/],
  ["Latin-1", "csv", Buffer.from("a,b\n1,2\nä,ö\n", "latin1"), /data:3 {2}The line is not UTF-8$/],
  ["nothing", "jsonl", "\n\n", /There are no rows$/],
  [
    "a field too many",
    "csv",
    "a,b\n1,2\n1,2,3\n",
    /data:3 {2}The row has 3 fields, and the header names 2 columns \("a", "b"\)$/,
  ],
  ["a field too few", "csv", 'a,b\n"x\ny",1\n5\n', /data:4 {2}The row has 1 field, and the header names 2 columns/],
  ["an open quote", "csv", 'a,b\n"1,2\n3,4\n', /data:\d {2}A quoted field is still open at the end of the file$/],
  ["text after a quote", "csv", 'a,b\n"1"x,2\n', /data:2 {2}A quoted field goes on after its closing quote/],
  ["a quote in the middle", "csv", 'a,b\nx"1",2\n', /data:2 {2}A quote stands in the middle of a field/],
  ["two columns of one name", "csv", "a,a\n1,2\n", /data:1 {2}Two columns are called "a"$/],
  ["a column without a name", "csv", "a,,b\n1,2,3\n", /data:1 {2}Column 2 of 3 has no name$/],
  ["no header", "csv", "", /The file is empty, its first line must name the columns$/],
  ["a header alone", "csv", "a,b\n", /There are no rows$/],
])("readRows() refuses %s (%s) with its place", async (_what, format, content, problem) => {
  await expect(rowsOf(format, content)).rejects.toThrow(problem);
});

test("readRows() reads no further than the limit, so that what is broken after it does not matter", async () => {
  expect(await rowsOf("jsonl", '{"a":1}\n{"a":2}\n{"a":\n', 2)).toEqual([
    ["1", { a: 1 }],
    ["2", { a: 2 }],
  ]);
  expect(await rowsOf("csv", "a\n1\n2\n3,4\n", 2)).toEqual([
    ["2", { a: "1" }],
    ["3", { a: "2" }],
  ]);
});

test("readRows() goes on with the next file until the limit, and long lines go over many reads", async () => {
  const long = "ü".repeat(400_000);
  const paths = [await written(`{"a":"${long}"}\n{"a":2}\n`), await written('{"a":3}\n{"a":4}\n')];
  const rows = await readRows({ paths, format: "jsonl" }, { limit: 3 });
  expect(rows.map(({ fields }) => fields["a"])).toEqual([long, 2, 3]);
  expect(rows[2]?.place).toBe(`${paths[1]}:1`);
});

test("readRows() puts together characters of a CSV that two reads cut apart", async () => {
  const text = "€".repeat(200_000);
  expect(await rowsOf("csv", `a,b\n${text},x\n1,${text}\n`)).toEqual([
    ["2", { a: text, b: "x" }],
    ["3", { a: "1", b: text }],
  ]);
});

test.each<[what: string, format: DataFormat, content: string, limits: Partial<RowLimits>, problem: RegExp]>([
  [
    "a long line",
    "jsonl",
    `{"a":1}\n{"a":"${"x".repeat(99)}"}\n`,
    { recordBytes: 99 },
    /:2 {2}The line is longer than 99 B$/,
  ],
  [
    "a long record",
    "csv",
    `a\n1\n"${"x\n".repeat(99)}"\n`,
    { recordBytes: 99 },
    /:\d+ {2}The row is longer than 99 B$/,
  ],
  [
    "many rows",
    "jsonl",
    '{"a":1}\n{"a":2}\n{"a":3}\n',
    { rows: 2 },
    /:3 {2}There are more than 2 rows, give the task a limit$/,
  ],
  ["many rows", "csv", "a\n1\n2\n3\n", { rows: 2 }, /:4 {2}There are more than 2 rows, give the task a limit$/],
  [
    "many bytes",
    "jsonl",
    '{"a":1}\n{"a":2}\n',
    { bytes: 10 },
    /:2 {2}The rows take more than 10 B, give the task a smaller/,
  ],
  [
    "many bytes",
    "csv",
    "a,b\nxx,yy\nxx,yy\n",
    { bytes: 7 },
    /:3 {2}The rows take more than 7 B, give the task a smaller/,
  ],
])("readRows() has a limit for %s (%s)", async (_what, format, content, limits, problem) => {
  const source = { paths: [await written(content)], format };
  await expect(readRows(source, { limits: { ...rowLimits, ...limits } })).rejects.toThrow(problem);
  await expect(readRows(source)).resolves.not.toHaveLength(0);
});

test("readRows() names a file that is not there, or is none", async () => {
  const missing = join(folder, "missing.jsonl");
  await expect(readRows({ paths: [missing], format: "jsonl" })).rejects.toThrow(`"${missing}": it does not exist`);
  await expect(readRows({ paths: [folder], format: "csv" })).rejects.toThrow("it is a directory, not a regular file");
});

test("readRows() gives a safetensors file's tensors row by row", async () => {
  const path = join(folder, "tensors");
  const i64 = new Uint8Array(BigInt64Array.of(3n, -(2n ** 60n), 5n).buffer);
  await writeCheckpoint(path, {
    pixels: { dtype: "F32", shape: [3, 2], values: [1, 2, 3, 4, 5, 6] },
    half: { dtype: "F16", shape: [3, 1], values: [0.5, 1.5, 2.5] },
    bytes: { dtype: "U8", shape: [3, 2], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6) },
    labels: { dtype: "I64", shape: [3], bytes: i64 },
  });
  const source = { paths: [join(path, "model.safetensors")], format: "safetensors" } as const;
  const rows = await readRows(source, { limit: 2 });
  const f32 = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
  expect(rows.map(({ fields }) => fields)).toEqual([
    {
      pixels: { dtype: "F32", shape: [2], data: f32(1, 2) },
      half: { dtype: "F32", shape: [1], data: f32(0.5) },
      bytes: { dtype: "U8", shape: [2], data: Uint8Array.of(1, 2) },
      labels: 3,
    },
    {
      pixels: { dtype: "F32", shape: [2], data: f32(3, 4) },
      half: { dtype: "F32", shape: [1], data: f32(1.5) },
      bytes: { dtype: "U8", shape: [2], data: Uint8Array.of(3, 4) },
      labels: -(2n ** 60n),
    },
  ]);
});

test("readRows() refuses tensors that differ in rows, and those without any", async () => {
  const uneven = await writeCheckpoint(join(folder, "uneven"), {
    a: { dtype: "F32", shape: [2], values: [1, 2] },
    b: { dtype: "F32", shape: [3], values: [1, 2, 3] },
  });
  const scalar = await writeCheckpoint(join(folder, "scalar"), { a: { dtype: "F32", shape: [], values: [1] } });
  const read = (path: string) => readRows({ paths: [join(path, "model.safetensors")], format: "safetensors" });
  await expect(read(uneven)).rejects.toThrow('must have a row per example: "a" has 2 rows, "b" 3');
  await expect(read(scalar)).rejects.toThrow('Tensor "a" has no dimension that counts rows');
});

/** A folder of images by class; what is in them does not matter here. */
async function imageFolder(name: string, classes: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const path = join(folder, name);
  for (const [label, images] of Object.entries(classes)) {
    await mkdir(join(path, label), { recursive: true });
    for (const image of images) await writeFile(join(path, label, image), `${label}/${image}`);
  }
  return path;
}

test("readRows() takes the classes of a folder of images in turns, and only images", async () => {
  const path = await imageFolder("pets", { dog: ["b.JPG", "a.png", "c.webp"], cat: ["1.jpeg", ".2.png", "notes.txt"] });
  const rows = await readRows({ paths: [path], format: "images" }, { limit: 3 });
  expect(rows.map(({ fields }) => fields)).toEqual([
    { file: join(path, "cat", "1.jpeg"), label: "cat" },
    { file: join(path, "dog", "a.png"), label: "dog" },
    { file: join(path, "dog", "b.JPG"), label: "dog" },
  ]);
});

test("readRows() refuses a folder without classes, and a class without images", async () => {
  const flat = await imageFolder("flat", { ".": ["a.png"] });
  const empty = await imageFolder("empty", { cat: ["a.png"], dog: [] });
  const read = (path: string) => readRows({ paths: [path], format: "images" });
  await expect(read(flat)).rejects.toThrow("The folder has no sub-folders, there must be one for each class");
  await expect(read(empty)).rejects.toThrow(`${join(empty, "dog")}  The folder of a class has no images`);
});
