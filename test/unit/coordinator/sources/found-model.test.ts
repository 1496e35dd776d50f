import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findModel } from "../../../../coordinator/sources/found-model.js";
import type { RemoteStore } from "../../../../shared/remote/remote-store.js";
import { withTempDir } from "../../../support/checkpoints.js";

test("a copy in the cache that lacks a file of the model's does not stand in for it", async () => {
  await using folder = await withTempDir();
  const commit = "0".repeat(40);
  const url = `hf://o/m@${commit}`;
  const names = ["config.json", "model.safetensors", "tokenizer.json"];
  const files = new Map(names.map((name) => [name, { url: `${url}/${name}`, bytes: 2, version: "v" }]));
  const store = { find: async () => ({ url, files, license: "mit" }) } as unknown as RemoteStore;
  const cache = async () => ({ directory: folder.path, commit });
  const find = () => findModel("hf://o/m", { store, cache, isOffline: false });
  for (const name of names.slice(0, 2)) await writeFile(join(folder.path, name), "{}");
  expect((await find()).files.map(({ name, copy }) => [name, copy])).toEqual(names.map((name) => [name, undefined]));
  await writeFile(join(folder.path, "tokenizer.json"), "{}");
  expect((await find()).files.every(({ copy }) => copy !== undefined)).toBe(true);
});
