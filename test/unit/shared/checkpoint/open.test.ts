import { createHash } from "node:crypto";
import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatIndex } from "../../../../shared/checkpoint/index-json.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import {
  formatSafetensors,
  randomTensor,
  readTensor,
  readTensorBytes,
  type TestTensor,
  withTempDir,
  writeCheckpoint,
} from "../../../support/checkpoints.js";

const tensors: Readonly<Record<string, TestTensor>> = {
  "a.weight": { dtype: "F32", shape: [2, 2], values: [1, -2, 3.5, 0] },
  "b.weight": randomTensor(1, [4, 3], "BF16"),
  "c.bias": { dtype: "I64", shape: [1], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
};

test("openCheckpoint() opens a checkpoint of one file", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, tensors, { config: { model_type: "tiny" } });
  const checkpoint = await openCheckpoint(directory.path);
  expect(checkpoint.warnings).toEqual([]);
  expect(checkpoint.config).toEqual({ model_type: "tiny" });
  expect(checkpoint.configText).toBe('{\n  "model_type": "tiny"\n}\n');
  expect(checkpoint.files.map(({ name }) => name)).toEqual(["model.safetensors"]);
  expect(checkpoint.files[0]?.metadata.get("format")).toBe("pt");
  expect([...checkpoint.tensors.keys()]).toEqual(["a.weight", "b.weight", "c.bias"]);
  expect([...readTensor(checkpoint, "a.weight")]).toEqual([1, -2, 3.5, 0]);
  expect([...readTensorBytes(checkpoint, "c.bias")]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test("openCheckpoint() says where every byte is and what the header was", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, tensors);
  const { files, tensors: opened } = await openCheckpoint(directory.path);
  const content = await readFile(join(directory.path, "model.safetensors"));
  const dataOffset = 8 + Number(content.readBigUInt64LE(0));
  expect(files[0]).toMatchObject({ bytes: content.length, dataOffset });
  expect(files[0]?.headerSha256).toBe(createHash("sha256").update(content.subarray(0, dataOffset)).digest("hex"));
  expect(opened.get("b.weight")).toEqual({
    ...{ name: "b.weight", dtype: "BF16", shape: [4, 3] },
    ...{ file: 0, offset: dataOffset + 16, bytes: 24 },
  });
});

test("openCheckpoint() opens shards through their index", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, tensors, { shards: 3 });
  // Stale shards of another split lie beside the true ones in published checkpoints.
  await writeFile(join(directory.path, "model-00001-of-00009.safetensors"), "stale");
  const checkpoint = await openCheckpoint(directory.path);
  expect(checkpoint.files.map(({ name }) => name)).toEqual([1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`));
  expect([...checkpoint.tensors.values()].map(({ file }) => file)).toEqual([0, 1, 2]);
  expect([...readTensor(checkpoint, "a.weight")]).toEqual([1, -2, 3.5, 0]);
  expect(checkpoint.warnings).toEqual([]);
  expect(checkpoint.config).toBeUndefined();
});

test("openCheckpoint() opens a single file by its path, with the config beside it", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, tensors, { config: {} });
  await rename(join(directory.path, "model.safetensors"), join(directory.path, "adapter.safetensors"));
  await writeFile(join(directory.path, "other.safetensors"), formatSafetensors({}));
  const checkpoint = await openCheckpoint(join(directory.path, "adapter.safetensors"));
  expect(checkpoint.directory).toBe(directory.path);
  expect(checkpoint.tensors.size).toBe(3);
  expect(checkpoint.config).toEqual({});
});

test("openCheckpoint() takes the only safetensors file, whatever its name", async () => {
  await using directory = await withTempDir();
  await writeFile(join(directory.path, "adapter_model.safetensors"), formatSafetensors(tensors));
  await writeFile(join(directory.path, "adapter_model.bin"), "pickle");
  expect((await openCheckpoint(directory.path)).files[0]?.name).toBe("adapter_model.safetensors");
});

test("openCheckpoint() takes the only index, whatever its name, and an index by its path", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, tensors, { shards: 2 });
  const renamed = join(directory.path, "diffusion_pytorch_model.safetensors.index.json");
  await rename(join(directory.path, "model.safetensors.index.json"), renamed);
  expect((await openCheckpoint(directory.path)).tensors.size).toBe(3);
  expect((await openCheckpoint(renamed)).tensors.size).toBe(3);
});

test("openCheckpoint() follows the links of the Hugging Face cache", async () => {
  await using directory = await withTempDir();
  const model = join(directory.path, "hub", "models--org--name");
  const snapshot = join(model, "snapshots", "0123abcd");
  await mkdir(snapshot, { recursive: true });
  await mkdir(join(model, "blobs"));
  await writeFile(join(model, "blobs", "feed"), formatSafetensors(tensors));
  await writeFile(join(model, "blobs", "beef"), "{}");
  await symlink("../../blobs/feed", join(snapshot, "model.safetensors"));
  await symlink("../../blobs/beef", join(snapshot, "config.json"));
  const checkpoint = await openCheckpoint(snapshot);
  expect(checkpoint.files[0]).toMatchObject({ name: "model.safetensors" });
  expect(checkpoint.files[0]?.path.endsWith("/blobs/feed")).toBe(true);
  expect(checkpoint.root.endsWith("/models--org--name")).toBe(true);
  expect((await openCheckpoint(join(snapshot, "model.safetensors"))).root).toBe(checkpoint.root);
  await expect(openCheckpoint(model)).rejects.toThrow('name one of the folders in its "snapshots"');
});

test("openCheckpoint() follows a link to a folder, a link named by itself, and links into allowed roots", async () => {
  await using directory = await withTempDir();
  const at = (...parts: string[]): string => join(directory.path, ...parts);
  await writeCheckpoint(at("store"), tensors);
  await symlink("store", at("alias"));
  expect((await openCheckpoint(at("alias"))).root.endsWith("/store")).toBe(true);
  await mkdir(at("linked"));
  await symlink("../store/model.safetensors", at("linked", "model.safetensors"));
  await expect(openCheckpoint(at("linked"))).rejects.toMatchObject({ code: "path_refused" });
  expect((await openCheckpoint(at("linked"), { allowedRoots: [at("store")] })).tensors.size).toBe(3);
  const named = await openCheckpoint(at("linked", "model.safetensors"));
  expect(named.files[0]?.path.startsWith(`${named.root}/`)).toBe(true);
});

test("openCheckpoint() warns of what is odd and opens it", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, tensors, { shards: 2 });
  const path = join(directory.path, "model.safetensors.index.json");
  await writeFile(
    path,
    formatIndex(
      new Map([
        ["a.weight", "model-00001-of-00002.safetensors"],
        ["b.weight", "model-00002-of-00002.safetensors"],
      ]),
      7,
    ),
  );
  await writeFile(join(directory.path, "model.safetensors"), formatSafetensors(tensors));
  const checkpoint = await openCheckpoint(directory.path);
  expect(checkpoint.tensors.has("c.bias")).toBe(true);
  expect(checkpoint.warnings).toEqual([
    '"model.safetensors" lies beside the index and is ignored',
    'The index does not list 1 of the tensors in its files: "c.bias"',
    "The index says that all tensors take 7 bytes; they take 48",
  ]);
});

test("openCheckpoint() warns of a checkpoint without tensors", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, {});
  expect((await openCheckpoint(directory.path)).warnings).toEqual(["The checkpoint has no tensors"]);
});

test("openCheckpoint() reads a config as Python writes it", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, tensors);
  await writeFile(join(directory.path, "config.json"), '{"time_step_limit": [0.0, Infinity], "a": 1, "a": 2}');
  const { config } = await openCheckpoint(directory.path);
  expect(config).toEqual({ time_step_limit: [0, Number.POSITIVE_INFINITY], a: 2 });
});

test("openCheckpoint() stops when it is told to", async () => {
  await using directory = await withTempDir();
  await writeCheckpoint(directory.path, tensors);
  await expect(openCheckpoint(directory.path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "canceled",
  });
});
