import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commit } from "../../../../coordinator/assemble/commit.js";
import { inspectOutput } from "../../../../coordinator/assemble/output-directory.js";
import { verifyOutput } from "../../../../coordinator/inspect/verify.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { completeStaging, hashDirectory, makePlan, type TestPlanOptions, testRecipe } from "../../../support/plans.js";
import { openStaging } from "../../../support/staging.js";

async function merge(
  directory: string,
  output: string,
  options: TestPlanOptions & { overwrite?: boolean; elements?: number } = {},
): Promise<void> {
  const plan = await makePlan(directory, options);
  await using staging = await openStaging(plan, output, { version: "1", overwrite: options.overwrite });
  await completeStaging(staging, options.elements);
  await commit(staging, { recipeText: testRecipe });
}

test("commit() leaves a checkpoint that opens, verifies, and has nothing beside it", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  await merge(dir.path, output);
  expect((await readdir(output)).sort()).toEqual([
    "README.md",
    "amalgam.json",
    "config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
  const checkpoint = await openCheckpoint(output);
  expect([...checkpoint.tensors.keys()]).toEqual(["embed.weight", "norm.weight", "head.weight"]);
  expect(checkpoint.warnings).toEqual([]);
  expect((await verifyOutput(output)).findings).toEqual([]);
});

test.each([
  ["digested", false],
  ["weights-synced", false],
  ["manifest-written", false],
  ["held", false],
  ["inspected", true],
])("commit() that is canceled when it has %s: published is %s, and otherwise kept", async (at, isPublished) => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  const stop = new AbortController();
  const step = (name: string): void => {
    if (name === at) stop.abort(new AmalgamError("canceled", "Not wanted any more"));
  };
  {
    await using staging = await openStaging(plan, output, { version: "1", step });
    await completeStaging(staging);
    const committing = commit(staging, { recipeText: testRecipe, signal: stop.signal });
    if (isPublished) await committing;
    else await expect(committing).rejects.toMatchObject({ code: "canceled", message: "Not wanted any more" });
  }
  expect(existsSync(output)).toBe(isPublished);
  if (isPublished) return;
  await using again = await openStaging(plan, output, { version: "1" });
  expect(again.resumed.keptPieces).toBeGreaterThan(0);
  await commit(again, { recipeText: testRecipe });
});

test("finish() waits for no hash when it is canceled", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const stop = new AbortController();
  await using staging = await openStaging(plan, join(dir.path, "out"), { version: "1" });
  await completeStaging(staging);
  stop.abort(new AmalgamError("canceled", "Not wanted any more"));
  await expect(staging.finish(stop.signal)).rejects.toMatchObject({ code: "canceled" });
});

test("commit() writes no index for an output of one file", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  await merge(dir.path, output, {
    files: [
      [
        ["one", "F32", [4]],
        ["none", "F32", [0]],
      ],
    ],
  });
  const names = await readdir(output);
  expect(names).toContain("model.safetensors");
  expect(names).not.toContain("model.safetensors.index.json");
  expect((await verifyOutput(output)).isSound).toBe(true);
});

test("An output of nothing but empty tensors is an output", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  await merge(dir.path, output, { files: [[["none", "F32", [0]]]] });
  expect((await verifyOutput(output)).isSound).toBe(true);
});

test("The output is the same, byte for byte, in another place and cut another way", async () => {
  await using one = await withTempDir();
  await using two = await withTempDir();
  await merge(one.path, join(one.path, "out"), { elements: 640 });
  await merge(two.path, join(two.path, "elsewhere"), { elements: 17 });
  expect(await hashDirectory(join(two.path, "elsewhere"))).toEqual(await hashDirectory(join(one.path, "out")));
});

test("commit() replaces an output with overwrite, and nothing of the old one remains", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  await merge(dir.path, output, { files: [[["old", "F32", [4]]]] });
  await expect(merge(dir.path, output)).rejects.toThrow("--overwrite");
  await merge(dir.path, output, { overwrite: true });
  const names = await readdir(output);
  expect(names).not.toContain("model.safetensors");
  expect((await verifyOutput(output)).isSound).toBe(true);
  expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
});

test("commit() does not replace an output that somebody put a file into meanwhile", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  await merge(dir.path, output, { salt: "old" });
  await using staging = await openStaging(await makePlan(dir.path), output, { version: "1", overwrite: true });
  await completeStaging(staging);
  await writeFile(join(output, "notes.txt"), "mine");
  await expect(commit(staging, { recipeText: testRecipe })).rejects.toThrow('did not write "notes.txt"');
  expect(await readFile(join(output, "notes.txt"), "utf8")).toBe("mine");
});

test("A commit that fails between its two renames puts the old output back", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  await merge(dir.path, output, { salt: "old" });
  const before = await hashDirectory(output);
  const plan = await makePlan(dir.path);
  const step = (name: string): void => {
    if (name === "old-moved") throw new Error("stopped here");
  };
  await using staging = await openStaging(plan, output, { version: "1", overwrite: true, step });
  await completeStaging(staging);
  await expect(commit(staging, { recipeText: testRecipe })).rejects.toThrow("stopped here");
  expect(await hashDirectory(output)).toEqual(before);
  await staging.discard();
  expect(await hashDirectory(output)).toEqual(before);
  expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
});

test("commit() refuses when something appeared at the output meanwhile, and can be tried again", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await using staging = await openStaging(plan, output, { version: "1" });
  await completeStaging(staging);
  await mkdir(output);
  await writeFile(join(output, "notes.txt"), "mine");
  await expect(commit(staging, { recipeText: testRecipe })).rejects.toThrow("Amalgam did not write it");
  expect(await readFile(join(output, "notes.txt"), "utf8")).toBe("mine");
  expect(existsSync(staging.parts.layout.journal)).toBe(true);
});

test("What an earlier, interrupted commit left in staging does not reach the output", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await using staging = await openStaging(plan, output, { version: "1" });
  await completeStaging(staging);
  await writeFile(join(staging.parts.layout.files, "vocab.json"), "stale");
  await commit(staging, { recipeText: testRecipe });
  expect(await readdir(output)).not.toContain("vocab.json");
});

test("commit() returns what people should know", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await using staging = await openStaging(plan, output, { version: "1.2.3" });
  await completeStaging(staging);
  const result = await commit(staging, { recipeText: testRecipe });
  expect(result.directory).toBe(output);
  expect(result.manifest.planDigest).toBe(plan.digest);
  expect(result.manifest.madeWith.amalgam).toBe("1.2.3");
  expect(result.warnings).toEqual([]);
  expect(await inspectOutput(plan, output)).toEqual({ state: "complete", directory: output });
});
