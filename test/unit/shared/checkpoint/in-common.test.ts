import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { InCommon } from "../../../../shared/checkpoint/in-common.js";
import { indexFileName } from "../../../../shared/checkpoint/index-json.js";
import { type Checkpoint, openCheckpoint } from "../../../../shared/checkpoint/open.js";
import {
  randomTensor,
  readTensor,
  type TestTensor,
  withTempDir,
  writeCheckpoint,
} from "../../../support/checkpoints.js";

function tensorsOf(seed: number, rows = 4): Record<string, TestTensor> {
  return Object.fromEntries(
    ["a", "b", "c", "d"].map((name) => [`${name}.weight`, randomTensor(seed, [rows, 3], "BF16")]),
  );
}

async function open(directory: string, inCommon: InCommon): Promise<Checkpoint> {
  const together = await openCheckpoint(directory, { inCommon });
  // Whatever was opened before, a checkpoint is what it is alone.
  expect(together).toEqual(await openCheckpoint(directory));
  return together;
}

test.each([1, 2])("checkpoints that are saved alike share their tensors, in %i files", async (shards) => {
  await using folder = await withTempDir();
  const options = { shards, config: { model_type: "tiny" } };
  const [one, two] = [join(folder.path, "one"), join(folder.path, "two")];
  await writeCheckpoint(one, tensorsOf(1), options);
  await writeCheckpoint(two, tensorsOf(2), { ...options, config: { model_type: "other" } });
  const inCommon = new InCommon();
  const [first, second] = [await open(one, inCommon), await open(two, inCommon)];
  expect(second.tensors).toBe(first.tensors);
  expect(second.files.map(({ path }) => path)).toEqual(second.files.map(({ name }) => join(two, name)));
  expect(readTensor(second, "c.weight")).not.toEqual(readTensor(first, "c.weight"));
});

test.each([
  ["has other metadata", { metadata: { made: "elsewhere" } }, tensorsOf(1)],
  ["is cut into other files", { shards: 4 }, tensorsOf(1)],
  ["has other shapes", {}, tensorsOf(1, 5)],
  ["lacks a tensor", {}, Object.fromEntries(Object.entries(tensorsOf(1)).slice(1))],
])("one that %s is read by itself", async (_, options, tensors) => {
  await using folder = await withTempDir();
  const [one, two] = [join(folder.path, "one"), join(folder.path, "two")];
  await writeCheckpoint(one, tensorsOf(1), { shards: 2 });
  await writeCheckpoint(two, tensors, { shards: 2, ...options });
  const inCommon = new InCommon();
  expect((await open(two, inCommon)).tensors).not.toBe((await open(one, inCommon)).tensors);
});

test("a file with a known header that was cut short is refused by its name", async () => {
  await using folder = await withTempDir();
  const [one, two] = [join(folder.path, "one"), join(folder.path, "two")];
  for (const directory of [one, two]) await writeCheckpoint(directory, tensorsOf(1), { shards: 2 });
  const file = join(two, "model-00002-of-00002.safetensors");
  await truncate(file, (await readFile(file)).length - 2);
  const inCommon = new InCommon();
  await openCheckpoint(one, { inCommon });
  await expect(openCheckpoint(two, { inCommon })).rejects.toThrow(/model-00002-of-00002.*the file is cut short/);
});

test("one with the same index and a file that is missing is refused", async () => {
  await using folder = await withTempDir();
  const one = await writeCheckpoint(join(folder.path, "one"), tensorsOf(1), { shards: 2 });
  const two = await writeCheckpoint(join(folder.path, "two"), tensorsOf(1));
  await writeFile(join(two, indexFileName), await readFile(join(one, indexFileName)));
  const inCommon = new InCommon();
  await openCheckpoint(one, { inCommon });
  await expect(openCheckpoint(two, { inCommon })).rejects.toThrow("2 of 2 files are missing");
});

test("one is found among several with the same index by its headers", async () => {
  await using folder = await withTempDir();
  const inCommon = new InCommon();
  const opened: Checkpoint[] = [];
  for (const [place, made] of ["here", "there", "elsewhere", "there"].entries()) {
    const directory = join(folder.path, `model-${place}`);
    await writeCheckpoint(directory, tensorsOf(place), { shards: 2, metadata: { made } });
    opened.push(await open(directory, inCommon));
  }
  const sharing = opened.map(({ tensors }) => opened.findIndex((other) => other.tensors === tensors));
  expect(sharing).toEqual([0, 1, 2, 1]);
});

test("of several files that are wrong, the first is named, whatever was opened before", async () => {
  await using folder = await withTempDir();
  const [one, two] = [join(folder.path, "one"), join(folder.path, "two")];
  for (const directory of [one, two]) await writeCheckpoint(directory, tensorsOf(1), { shards: 2 });
  const first = join(two, "model-00001-of-00002.safetensors");
  const bytes = await readFile(first);
  await writeFile(first, bytes.fill("?", 9, 10));
  await truncate(join(two, "model-00002-of-00002.safetensors"), 4);
  const inCommon = new InCommon();
  await openCheckpoint(one, { inCommon });
  await expect(openCheckpoint(two, { inCommon })).rejects.toThrow(/model-00001-of-00002.*has "\?" where/);
});
