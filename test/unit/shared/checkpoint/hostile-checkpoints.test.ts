import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatIndex } from "../../../../shared/checkpoint/index-json.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { hostileFolders, indexName, shardNames, writeShardedModel } from "../../../support/hostile-folders.js";

for (const { title, harm, message, code = "checkpoint_malformed" } of hostileFolders) {
  test(`openCheckpoint() refuses ${title}`, async () => {
    await using directory = await withTempDir();
    const at = (...parts: string[]): string => join(directory.path, ...parts);
    await writeShardedModel(at("model"));
    await openCheckpoint(at("model"));
    await harm(at);
    const error = await openCheckpoint(at("model")).catch((reason: unknown) => reason);
    if (!(error instanceof AmalgamError)) throw new TypeError("Expected an AmalgamError", { cause: error });
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
    expect(error.details["file"]).toContain("model");
  });
}

test("openCheckpoint() refuses a folder that does not say what belongs together", async () => {
  await using directory = await withTempDir();
  await writeShardedModel(directory.path);
  await rm(join(directory.path, indexName));
  await expect(openCheckpoint(directory.path)).rejects.toThrow(
    `it has 3 safetensors files, "${shardNames[0]}", "${shardNames[1]}"`,
  );
  for (const name of ["a", "b"]) {
    await writeFile(join(directory.path, `${name}.safetensors.index.json`), formatIndex(new Map(), 0));
  }
  await expect(openCheckpoint(directory.path)).rejects.toThrow("it has 2 indexes");
});

test("openCheckpoint() refuses pickles and says what to do", async () => {
  await using directory = await withTempDir();
  await writeFile(join(directory.path, "pytorch_model.bin"), "pickle");
  await writeFile(join(directory.path, "config.json"), "{}");
  await expect(openCheckpoint(directory.path)).rejects.toThrow(
    /it only has "pytorch_model\.bin", and pickle files can run code .* convert them to safetensors first/,
  );
  await expect(openCheckpoint(join(directory.path, "pytorch_model.bin"))).rejects.toThrow(/pickle files can run code/);
});

test("openCheckpoint() says so when there is nothing to open", async () => {
  await using directory = await withTempDir();
  await expect(openCheckpoint(directory.path)).rejects.toThrow("the folder is empty");
  const nowhere = join(directory.path, "nowhere");
  const missing = expect.objectContaining({
    code: "checkpoint_malformed",
    message: expect.stringContaining("does not exist"),
  });
  await expect(openCheckpoint(nowhere)).rejects.toEqual(missing);
  await writeFile(join(directory.path, "notes.txt"), "");
  await expect(openCheckpoint(directory.path)).rejects.toThrow("it has no safetensors file");
  await expect(openCheckpoint(join(directory.path, "notes.txt"))).rejects.toThrow("neither a folder nor");
});
