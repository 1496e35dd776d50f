import { readFileSync } from "node:fs";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { readPicture } from "../../../../../coordinator/evaluate/images/read-picture.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { repositoryPath } from "../../../../support/repository.js";

const fixture = (name: string) => readFileSync(repositoryPath("test/conformance/graphs/images", name));

/** A PNG that says how large it is, and has the pixels of a much smaller one. */
function pngOfSize(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const signature = Buffer.from("89504e470d0a1a0a", "hex");
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.alloc(99))), chunk("IEND")]);
}

function chunk(kind: string, data = Buffer.alloc(0)): Buffer {
  const [length, sum, content] = [Buffer.alloc(4), Buffer.alloc(4), Buffer.concat([Buffer.from(kind), data])];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(content));
  return Buffer.concat([length, content, sum]);
}

test.each<{ name: string; content: Uint8Array | string; problem: RegExp }>([
  { name: "cut-off.jpg", content: fixture("colour.jpg").subarray(0, 800), problem: /premature end/ },
  { name: "cut-off.png", content: fixture("colour.png").subarray(0, 900), problem: /: \S/ },
  { name: "cut-off.webp", content: fixture("lossy.webp").subarray(0, 200), problem: /: \S/ },
  { name: "changed.png", content: fixture("colour.png").fill(7, 500, 540), problem: /: \S/ },
  { name: "empty.png", content: "", problem: /it is not a PNG, JPEG or WebP$/ },
  {
    name: "drawing.png",
    content: "<svg xmlns='http://www.w3.org/2000/svg'/>",
    problem: /it is not a PNG, JPEG or WebP$/,
  },
  {
    name: "bomb.png",
    content: pngOfSize(60_000, 60_000),
    problem: /it has 60,000 × 60,000 pixels, the limits are 65,535 on a side and 89,478,485 in all$/,
  },
  { name: "line.png", content: pngOfSize(70_000, 1), problem: /it has 70,000 × 1 pixels, the limits are 65,535/ },
])("$name is refused by name", async ({ name, content, problem }) => {
  await using folder = await withTempDir();
  const path = join(folder.path, name);
  await writeFile(path, content);
  const reading = readPicture(path, 3);
  await expect(reading).rejects.toMatchObject({ code: "checkpoint_malformed", details: { file: path } });
  await expect(reading).rejects.toThrow(`Cannot read image ${JSON.stringify(path)}: `);
  await expect(reading).rejects.toThrow(problem);
});

test("an image in a row's bytes is read as its file is, and refused by the row's place", async () => {
  const place = "x.parquet, row 7";
  const path = repositoryPath("test/conformance/graphs/images", "colour.jpg");
  expect(await readPicture({ bytes: fixture("colour.jpg"), place }, 3)).toEqual(await readPicture(path, 3));
  const reading = readPicture({ bytes: fixture("colour.jpg").subarray(0, 800), place }, 3);
  await expect(reading).rejects.toMatchObject({ code: "checkpoint_malformed", details: { place } });
  await expect(reading).rejects.toThrow(/^Cannot read the image in x\.parquet, row 7: .*premature end/i);
  await expect(readPicture({ bytes: new Uint8Array(65_000_000), place }, 3)).rejects.toThrow(
    "Cannot read the image in x.parquet, row 7: it has 65.0 MB, more than 64.0 MB",
  );
});

test("what is not a file, not there, or too large is refused without being read", async () => {
  await using folder = await withTempDir();
  const [inside, missing, large] = ["folder.png", "missing.png", "large.png"].map((name) => join(folder.path, name));
  await mkdir(inside ?? "");
  await writeFile(large ?? "", "");
  await truncate(large ?? "", 65_000_000);
  await expect(readPicture(inside ?? "", 3)).rejects.toThrow(/folder.png": it is not a file$/);
  await expect(readPicture(missing ?? "", 3)).rejects.toThrow(/missing.png": it does not exist$/);
  await expect(readPicture(large ?? "", 3)).rejects.toThrow(/large.png": it has 65\.0 MB, more than 64\.0 MB$/);
});
