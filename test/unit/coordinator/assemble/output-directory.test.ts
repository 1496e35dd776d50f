import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { commit } from "../../../../coordinator/assemble/commit.js";
import { inspectOutput } from "../../../../coordinator/assemble/output-directory.js";
import type { Plan } from "../../../../coordinator/plan/types.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { completeStaging, makePlan, testRecipe } from "../../../support/plans.js";
import { openStaging } from "../../../support/staging.js";

async function merge(plan: Plan, output: string): Promise<void> {
  await using staging = await openStaging(plan, output, { version: "1" });
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
}

test("inspectOutput() finds an absent or empty directory free and creates its parent", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const deep = join(dir.path, "deep", "er", "out");
  expect(await inspectOutput(plan, deep)).toEqual({ state: "free", directory: deep });
  await mkdir(deep);
  expect(await inspectOutput(plan, deep)).toEqual({ state: "free", directory: deep });
});

test("inspectOutput() knows the plan's own finished output, with or without overwrite", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await merge(plan, output);
  expect((await inspectOutput(plan, output)).state).toBe("complete");
  expect((await inspectOutput(plan, output, { overwrite: true })).state).toBe("complete");
  await expect(openStaging(plan, output, { version: "1" })).rejects.toThrow("is complete");
});

test("inspectOutput() refuses another plan's output unless it may be replaced", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  await merge(await makePlan(dir.path), output);
  const other = await makePlan(dir.path, { salt: "other" });
  await expect(inspectOutput(other, output)).rejects.toMatchObject({
    code: "output_refused",
    message: expect.stringContaining("replace it with --overwrite"),
  });
  expect((await inspectOutput(other, output, { overwrite: true })).state).toBe("replaceable");
});

test.each(["notes.txt", "gguf/model.gguf", "1_Pooling/notes.txt", ".git/HEAD"])(
  "inspectOutput() does not let an output be replaced that somebody put %s into",
  async (name) => {
    await using dir = await withTempDir();
    const output = join(dir.path, "out");
    await merge(await makePlan(dir.path), output);
    await mkdir(join(output, dirname(name)), { recursive: true });
    await writeFile(join(output, name), "mine");
    const other = await makePlan(dir.path, { salt: "other" });
    await expect(inspectOutput(other, output, { overwrite: true })).rejects.toMatchObject({
      code: "output_refused",
      message: expect.stringContaining("remove it yourself"),
    });
  },
);

test("inspectOutput() does not take a damaged output for a complete one", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await merge(plan, output);
  await rm(join(output, plan.files[1]?.name ?? ""));
  await expect(inspectOutput(plan, output)).rejects.toThrow("damaged output of this recipe");
  expect((await inspectOutput(plan, output, { overwrite: true })).state).toBe("replaceable");
});

test("inspectOutput() refuses what Amalgam did not write, whatever the options say", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await mkdir(output);
  await writeFile(join(output, "notes.txt"), "mine");
  for (const manifest of [undefined, "{}", "not JSON", '{"format":"amalgam-manifest"}']) {
    if (manifest !== undefined) await writeFile(join(output, "amalgam.json"), manifest);
    for (const overwrite of [false, true]) {
      await expect(inspectOutput(plan, output, { overwrite })).rejects.toThrow("Amalgam did not write it");
    }
  }
  const file = join(output, "notes.txt");
  await expect(inspectOutput(plan, file)).rejects.toThrow("it is a file");
  await expect(inspectOutput(plan, join(file, "out"))).rejects.toMatchObject({ code: "output_refused" });
});

test("inspectOutput() keeps source models out of reach", async () => {
  await using dir = await withTempDir();
  const models = join(dir.path, "models");
  const plan = await makePlan(models);
  const options = { overwrite: true };
  const source = join(models, "a");
  await expect(inspectOutput(plan, source, options)).rejects.toThrow('is the directory of source model "./a"');
  await expect(inspectOutput(plan, models, options)).rejects.toThrow("it contains source model");
  await expect(inspectOutput(plan, join(source, "out"), options)).rejects.toThrow("lies within the directory");
  await expect(inspectOutput(plan, join(models, "b", "..", "a"), options)).rejects.toThrow("is the directory of");
  await symlink(source, join(dir.path, "link"));
  await expect(inspectOutput(plan, join(dir.path, "link"), options)).rejects.toThrow("is the directory of");
  await expect(inspectOutput(plan, join(dir.path, "link", "out"), options)).rejects.toThrow("lies within");
});

test("inspectOutput() keeps source files out of reach that a model's directory only links to", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const blobs = join(dir.path, "blobs");
  await mkdir(blobs);
  const linked = { ...plan, sources: plan.sources.map((source) => ({ ...source, path: join(blobs, "1234") })) };
  await expect(inspectOutput(linked, blobs)).rejects.toThrow("it contains source file");
});

test("inspectOutput() follows a link to an empty directory and refuses one to nothing", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const target = join(dir.path, "target");
  const link = join(dir.path, "link");
  await symlink(target, link);
  await expect(inspectOutput(plan, link)).rejects.toThrow("symbolic link that leads nowhere");
  await mkdir(target);
  expect(await inspectOutput(plan, link)).toEqual({ state: "free", directory: target });
});

test("inspectOutput() refuses a place where no folder can be created, and does not hang there", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await expect(inspectOutput(plan, "/proc/nope/out")).rejects.toMatchObject({ code: "output_refused" });
});
