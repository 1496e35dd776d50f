import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type ElsewhereFile, mirrorFolder } from "../../../../coordinator/sources/mirror-folder.js";
import { stateTime } from "../../../../coordinator/sources/state-time.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { formatSafetensors, randomTensor, withTempDir } from "../../../support/checkpoints.js";

/** Files elsewhere, and what was read of them. */
function elsewhere(contents: Readonly<Record<string, Uint8Array>>, version?: string) {
  const read: [string, number, number][] = [];
  const files = Object.entries(contents).map(([name, content]): ElsewhereFile => {
    return {
      name,
      bytes: content.length,
      read: (offset, length) => {
        read.push([name, offset, length]);
        return Promise.resolve(content.subarray(offset, offset + length));
      },
      modifiedMs: (start) => stateTime(name, content.length, version, start),
      knownMs: version === undefined ? undefined : stateTime(name, content.length, version),
    };
  });
  return { files, read };
}

const weights = formatSafetensors({ a: randomTensor(1, [300, 300], "F32") });
const config = Buffer.from('{"model_type":"test"}');

test("a mirror has headers, small files and holes, and what is there is not made again", async () => {
  await using folder = await withTempDir();
  const into = join(folder.path, "mirror");
  const options = { model: "https://host/model", into, concurrency: 2 };
  const given = { "model.safetensors": weights, "config.json": config, "LICENSE.txt": config, "weights.bin": weights };
  const first = elsewhere(given, "v1");
  await mirrorFolder({ ...options, files: first.files });
  expect((await readdir(into)).sort()).toEqual(["LICENSE.txt", "config.json", "model.safetensors"]);
  expect(await readFile(join(into, "config.json"))).toEqual(config);
  expect((await stat(join(into, "model.safetensors"))).size).toBe(weights.length);
  const { tensors } = await openCheckpoint(into);
  expect([...tensors.keys()]).toEqual(["a"]);
  expect(first.read).toContainEqual(["model.safetensors", 0, 64 << 10]);

  const again = elsewhere(given, "v1");
  await mirrorFolder({ ...options, files: again.files });
  expect(again.read).toEqual([]);
  const changed = elsewhere(given, "v2");
  await mirrorFolder({ ...options, files: changed.files });
  expect(changed.read).toHaveLength(3);
});

test("what the model has no more is not in a mirror that is made again, lest its holes be merged", async () => {
  await using folder = await withTempDir();
  const options = { model: "m", into: folder.path, concurrency: 2 };
  const sharded = { "model.safetensors.index.json": config, "model-00001-of-00001.safetensors": weights };
  await mirrorFolder({ ...options, files: elsewhere(sharded).files });
  const unfinished = `config.json.${randomUUID()}`;
  await writeFile(join(folder.path, unfinished), "");
  await mirrorFolder({ ...options, files: elsewhere({ "model.safetensors": weights }).files });
  expect((await readdir(folder.path)).sort()).toEqual([unfinished, "model.safetensors"]);
  for (const only of ["a.safetensors", "b.safetensors"]) {
    const files = elsewhere({ [only]: weights, "config.json": config }).files;
    await mirrorFolder({ ...options, into: join(folder.path, "files"), files, only });
  }
  expect(await readdir(join(folder.path, "files"))).toHaveLength(3);
});

test("a mirror of which a power cut left nothing but sizes is made again", async () => {
  await using folder = await withTempDir();
  const options = { model: "m", into: folder.path, concurrency: 2 };
  const { files } = elsewhere({ "model.safetensors": weights, "config.json": config, "empty.txt": Buffer.of() }, "v1");
  await mirrorFolder({ ...options, files });
  for (const { name, bytes, knownMs = 0 } of files) {
    await writeFile(join(folder.path, name), new Uint8Array(bytes));
    await utimes(join(folder.path, name), knownMs / 1000, knownMs / 1000);
  }
  await mirrorFolder({ ...options, files });
  expect(await readFile(join(folder.path, "config.json"))).toEqual(config);
  expect([...(await openCheckpoint(folder.path)).tensors.keys()]).toEqual(["a"]);
});

test("names that lead out of the mirror, or that nobody wants, are left out", async () => {
  await using folder = await withTempDir();
  const into = join(folder.path, "deep", "mirror");
  await mkdir(into, { recursive: true });
  const names = ["../out.json", "a/b.json", "a\\b.json", ".hidden.json", "tab\t.json", "other.safetensors", "x.py"];
  const { files } = elsewhere({
    ...Object.fromEntries(names.map((name) => [name, config])),
    "one.safetensors": weights,
  });
  await mirrorFolder({ model: "m", files, into, only: "one.safetensors", concurrency: 2 });
  expect(await readdir(folder.path, { recursive: true })).toEqual([
    "deep",
    "deep/mirror",
    "deep/mirror/one.safetensors",
  ]);
});

test.each([
  ["one file", { "a.json": 65 << 20 }, "above the limit of 67.1 MB"],
  [
    "all files together",
    Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`${i}.json`, 60 << 20])),
    "above the limit of 268 MB",
  ],
])("sizes have limits before anything is read: %s", async (_, sizes, message) => {
  await using folder = await withTempDir();
  const read = (): Promise<Uint8Array> => expect.fail("It was read");
  const files = Object.entries(sizes).map(([name, bytes]) => ({ name, bytes, read, modifiedMs: () => 0 }));
  await expect(mirrorFolder({ model: "m", files, into: folder.path, concurrency: 2 })).rejects.toThrow(message);
});

test("a time stands for a state: another version, size or header has another one", () => {
  const header = new Uint8Array([1]);
  const times = [
    stateTime("a.safetensors", 10, "v1"),
    stateTime("a.safetensors", 10, "v2"),
    stateTime("a.safetensors", 11, "v1"),
    stateTime("a.safetensors", 10, undefined, header),
    stateTime("a.safetensors", 10, undefined, new Uint8Array([2])),
  ];
  expect(new Set(times).size).toBe(times.length);
  expect(stateTime("a.safetensors", 10, "v1", header)).toBe(times[0]);
  for (const time of times) expect([time % 1000, new Date(time).getUTCFullYear() >= 2004]).toEqual([0, true]);
});
