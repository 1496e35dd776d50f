import { execFileSync } from "node:child_process";
import { mkdir, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import type { ErrorCode } from "../../shared/errors.js";
import { formatSafetensors, randomTensor, writeCheckpoint } from "./checkpoints.js";

const tensors = { a: randomTensor(1, [4]), b: randomTensor(2, [4]), c: randomTensor(3, [4]) };
export const shardNames = [1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`);
const [first, second, third] = shardNames as [string, string, string];
export const indexName = "model.safetensors.index.json";

/** A sound checkpoint of three shards, with one small tensor each: "a", "b" and "c". */
export function writeShardedModel(directory: string): Promise<string> {
  return writeCheckpoint(directory, tensors, { shards: 3 });
}

/** What is done to the model of {@link writeShardedModel} in `at("model")`, and how opening it must fail. */
export type HostileFolder = {
  readonly title: string;
  readonly harm: (at: (...parts: string[]) => string) => Promise<unknown>;
  readonly message: RegExp;
  readonly code?: ErrorCode;
};

function index(weightMap: Readonly<Record<string, string>>): string {
  return JSON.stringify({ metadata: {}, weight_map: weightMap });
}

/** Replaces a file of the model. */
async function exchange(path: string, make: (path: string) => unknown): Promise<void> {
  await rm(path);
  await make(path);
}

/** Checkpoints that are broken, or made to be read where they should not. */
export const hostileFolders: readonly HostileFolder[] = [
  {
    title: "an index that leads out of the folder to a sound file",
    harm: async (at) => {
      await writeCheckpoint(at("secret"), tensors);
      await writeFile(at("model", indexName), index({ a: "../secret/model.safetensors" }));
    },
    message: /Cannot use shard "\.\.\/secret\/model\.safetensors" of ".*": its name is a path/,
    code: "path_refused",
  },
  {
    title: "an index that leads out of the folder to a FIFO, which reading would wait for",
    harm: async (at) => {
      execFileSync("mkfifo", [at("victim.safetensors")]);
      await writeFile(at("model", indexName), index({ a: "../victim.safetensors" }));
    },
    message: /its name is a path/,
    code: "path_refused",
  },
  {
    title: "a shard that is a link out of the folder to a sound file",
    harm: async (at) => {
      await rename(at("model", second), at("secret.safetensors"));
      await symlink("../secret.safetensors", at("model", second));
    },
    message: /it is a link to ".*secret\.safetensors", outside ".*model"/,
    code: "path_refused",
  },
  {
    title: "a shard that is a link to a folder whose name starts like its own",
    harm: async (at) => {
      await mkdir(at("model-2"));
      await rename(at("model", second), at("model-2", second));
      await symlink(`../model-2/${second}`, at("model", second));
    },
    message: /outside/,
    code: "path_refused",
  },
  {
    title: "a shard that is a link in a circle",
    harm: (at) => exchange(at("model", second), (path) => symlink(second, path)),
    message: /symbolic links lead nowhere or in a circle/,
    code: "path_refused",
  },
  {
    title: "a shard that is a FIFO",
    harm: (at) => exchange(at("model", second), (path) => execFileSync("mkfifo", [path])),
    message: /it is a FIFO, not a regular file/,
  },
  {
    title: "a shard that is a folder",
    harm: (at) => exchange(at("model", second), (path) => mkdir(path)),
    message: /it is a directory, not a regular file/,
  },
  {
    title: "a shard that is a link to a device",
    harm: (at) => exchange(at("model", second), (path) => symlink("/dev/zero", path)),
    message: /outside/,
    code: "path_refused",
  },
  {
    title: "missing shards",
    harm: (at) => Promise.all([rm(at("model", first)), rm(at("model", third))]),
    message: /2 of 3 files are missing: "model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"/,
  },
  {
    title: "a link to a blob that was not downloaded",
    harm: (at) => exchange(at("model", second), (path) => symlink("blob", path)),
    message: /1 of 3 files are missing/,
  },
  {
    title: "a shard cut short",
    harm: (at) => truncate(at("model", second), 100),
    message: /model-00002-of-00003\.safetensors": .*the file is cut short|beyond the end/,
  },
  {
    title: "a shard that is a Git LFS pointer",
    harm: (at) => writeFile(at("model", second), "version https://git-lfs.github.com/spec/v1\n"),
    message: /model-00002-of-00003\.safetensors": the file is a Git LFS pointer/,
  },
  {
    title: "a listed tensor that is absent",
    harm: (at) => writeFile(at("model", indexName), index({ a: first, b: second, c: third, d: third })),
    message: /tensor "d" is absent from "model-00003-of-00003.safetensors"/,
  },
  {
    title: "a tensor in another shard than listed",
    harm: (at) => writeFile(at("model", indexName), index({ a: first, b: third, c: second })),
    message:
      /tensor "b" is in "model-00002-of-00003.safetensors" and the index says "model-00003-of-00003.safetensors"/,
  },
  {
    title: "a tensor in two shards",
    harm: (at) => writeFile(at("model", second), formatSafetensors({ a: tensors.a, b: tensors.b })),
    message: /tensor "a" is in two files, "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"/,
  },
  {
    title: "an unlisted tensor in two shards",
    harm: async (at) => {
      await writeFile(at("model", first), formatSafetensors({ a: tensors.a, x: tensors.b }));
      await writeFile(at("model", second), formatSafetensors({ b: tensors.b, x: tensors.c }));
    },
    message: /tensor "x" is in two files/,
  },
  {
    title: "an index of 500 MB",
    harm: (at) => truncate(at("model", indexName), 500_000_000),
    message: /it has 500 MB, above the limit of 67\.1 MB/,
  },
  {
    title: "an index that starts with a byte order mark",
    harm: (at) => writeFile(at("model", indexName), `\ufeff${index({ a: first })}`),
    message: /byte order mark/,
  },
  {
    title: "an index that is a FIFO",
    harm: (at) => exchange(at("model", indexName), (path) => execFileSync("mkfifo", [path])),
    message: /it is a FIFO/,
  },
  {
    title: "an index that is a link out of the folder",
    harm: async (at) => {
      await rename(at("model", indexName), at("index.json"));
      await symlink("../index.json", at("model", indexName));
    },
    message: /outside/,
    code: "path_refused",
  },
  {
    title: "an index of pickles",
    harm: (at) => writeFile(at("model", indexName), index({ a: "pytorch_model-00001-of-00002.bin" })),
    message: /pickle files can run code/,
  },
  {
    title: "a config that is not JSON",
    harm: (at) => writeFile(at("model", "config.json"), "{not json"),
    message: /Cannot read config ".*config\.json": it has "n" where it should have """ \(byte 1\)/,
  },
  {
    title: "a config nested too deep",
    harm: (at) => writeFile(at("model", "config.json"), "[".repeat(100_000)),
    message: /nested more than 64 deep/,
  },
  {
    title: "a config of a gigabyte",
    harm: async (at) => {
      await writeFile(at("model", "config.json"), "{}");
      await truncate(at("model", "config.json"), 1_000_000_000);
    },
    message: /it has 1\.00 GB, above the limit/,
  },
  {
    title: "a config that is a link out of the folder",
    harm: (at) => symlink("/etc/hostname", at("model", "config.json")),
    message: /outside/,
    code: "path_refused",
  },
];
