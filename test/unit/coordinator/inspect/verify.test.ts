import { appendFile, open, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { commit } from "../../../../coordinator/assemble/commit.js";
import { verifyOutput } from "../../../../coordinator/inspect/verify.js";
import type { Finding } from "../../../../coordinator/inspect/verify-report.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { completeStaging, makePlan, testRecipe } from "../../../support/plans.js";
import { openStaging } from "../../../support/staging.js";

const [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/** A finished output in a folder that goes when the scope ends. */
async function makeOutput(): Promise<{ readonly path: string } & AsyncDisposable> {
  const dir = await withTempDir();
  const output = join(dir.path, "out");
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, output, { version: "1" });
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
  return { path: output, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

let onFile: string[] = [];
beforeEach(() => {
  onFile = [];
});

test("verifyOutput() finds nothing wrong with an output as it was written", async () => {
  await using output = await makeOutput();
  const report = await verifyOutput(output.path, { onFile: (file) => onFile.push(file) });
  expect(report).toMatchObject({ isSound: true, findings: [], files: 6, method: "linear" });
  expect(onFile).toHaveLength(6);
});

test("verifyOutput() does not mind an edited model card", async () => {
  await using output = await makeOutput();
  await appendFile(join(output.path, "README.md"), "\nEvaluated by me\n");
  expect((await verifyOutput(output.path)).isSound).toBe(true);
});

test("verifyOutput() names every file that is not what it was", async () => {
  const damages: readonly (readonly [Pick<Finding, "file" | "kind">, (output: string) => Promise<unknown>])[] = [
    [{ file: second, kind: "missing" }, (output) => rm(join(output, second))],
    [{ file: second, kind: "size" }, (output) => truncate(join(output, second), 100)],
    [{ file: first, kind: "size" }, (output) => appendFile(join(output, first), "x")],
    [{ file: first, kind: "digest" }, (output) => flip(join(output, first), -1)],
    [{ file: first, kind: "header" }, (output) => flip(join(output, first), 0)],
    [{ file: "tokenizer.json", kind: "digest" }, (output) => flip(join(output, "tokenizer.json"), 5)],
    [{ file: "extra.safetensors", kind: "extra" }, (output) => writeFile(join(output, "extra.safetensors"), "x")],
    [{ file: "config.json", kind: "missing" }, (output) => rm(join(output, "config.json"))],
  ];
  for (const [finding, damage] of damages) {
    await using output = await makeOutput();
    await damage(output.path);
    const report = await verifyOutput(output.path);
    expect(report.isSound).toBe(false);
    expect(report.findings).toEqual([expect.objectContaining(finding)]);
    expect(report.findings[0]?.problem).toContain(`"${finding.file}"`);
  }
});

test("verifyOutput() follows no link", async () => {
  await using output = await makeOutput();
  const path = join(output.path, "tokenizer.json");
  await writeFile(join(output.path, "..", "elsewhere"), await readFile(path));
  await rm(path);
  await symlink(join(output.path, "..", "elsewhere"), path);
  expect((await verifyOutput(output.path)).findings).toEqual([
    { file: "tokenizer.json", kind: "unreadable", problem: '"tokenizer.json" is not a regular file' },
  ]);
});

test("verifyOutput() reports all findings at once, by file name", async () => {
  await using output = await makeOutput();
  await rm(join(output.path, second));
  await flip(join(output.path, first), -1);
  await rm(join(output.path, "config.json"));
  const report = await verifyOutput(output.path);
  expect(report.findings.map(({ file, kind }) => [file, kind])).toEqual([
    ["config.json", "missing"],
    [first, "digest"],
    [second, "missing"],
  ]);
});

test("verifyOutput() throws when there is no manifest to verify against", async () => {
  await using output = await makeOutput();
  await rm(join(output.path, "amalgam.json"));
  await expect(verifyOutput(output.path)).rejects.toMatchObject({ code: "checkpoint_malformed" });
});

/** Changes one byte, counted from the end when negative. */
async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, "r+");
  const { size } = await file.stat();
  const position = at < 0 ? size + at : at;
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}
