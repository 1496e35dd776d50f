import { existsSync } from "node:fs";
import { mkdir, readdir, rename, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commit } from "../../coordinator/assemble/commit.js";
import { collectGarbage, type GarbageReport } from "../../coordinator/assemble/gc.js";
import { thisProcess } from "../../coordinator/assemble/process-identity.js";
import { withTempDir } from "../support/checkpoints.js";
import { withWorkplace } from "../support/command.js";
import { completeStaging, hashDirectory, makePlan, testRecipe } from "../support/plans.js";
import { openStaging } from "../support/staging.js";

const options = { version: "1" };
const day = 86_400_000;
const patienceMs = 50;

/** An output that a merge was interrupted at, with all of its pieces done. */
async function interrupted(directory: string, output: string): Promise<string> {
  await using staging = await openStaging(await makePlan(directory), output, options);
  await completeStaging(staging);
  return staging.parts.layout.root;
}

function verdicts({ items }: GarbageReport): unknown[] {
  return items.map(({ isRemoved, reason }) => [isRemoved, reason]);
}

test("Work that can be gone on from is kept, and removed only once nobody touched it for long enough", async () => {
  await using dir = await withTempDir();
  const root = await interrupted(dir.path, join(dir.path, "out"));
  expect(verdicts(await collectGarbage([dir.path]))).toEqual([
    [false, "the same merge can go on from it, and no age was given"],
  ]);
  expect(verdicts(await collectGarbage([dir.path], { olderThanMs: day }))).toEqual([
    [false, "the same merge can go on from it, and it is not old enough"],
  ]);
  const later = { olderThanMs: day, now: Date.now() + 2 * day };
  const dry = await collectGarbage([dir.path], { ...later, dryRun: true });
  expect(dry.items).toMatchObject([{ path: root, isRemoved: true }]);
  expect(dry.items[0]?.bytes).toBeGreaterThan(0);
  expect(existsSync(root)).toBe(true);
  expect(await collectGarbage([dir.path], later)).toEqual(dry);
  expect((await readdir(dir.path)).sort()).toEqual(["a", "b"]);
});

test("What somebody works on is kept, however old", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  await using staging = await openStaging(await makePlan(dir.path), output, options);
  await completeStaging(staging);
  const later = { olderThanMs: 0, now: Date.now() + 2 * day };
  const report = await collectGarbage([dir.path], later);
  expect(report.items).toMatchObject([
    { isRemoved: false, reason: expect.stringContaining(`process ${process.pid} on`) },
  ]);
  await commit(staging, { recipeText: testRecipe });
});

test("What is left beside an output that is complete is removed", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  const plan = await makePlan(dir.path);
  const root = await interrupted(dir.path, output);
  await rename(root, join(dir.path, "aside"));
  await using staging = await openStaging(plan, output, options);
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
  const golden = await hashDirectory(output);
  await rename(join(dir.path, "aside"), root);
  expect(verdicts(await collectGarbage([dir.path]))).toEqual([[true, "its output is complete"]]);
  expect(existsSync(root)).toBe(false);
  expect(await hashDirectory(output)).toEqual(golden);
});

test("An output that was moved aside goes back to its place when the work on its successor is removed", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  const root = await interrupted(dir.path, output);
  await mkdir(join(root, "replaced.5"));
  await writeFile(join(root, "replaced.5", "amalgam.json"), "old");
  const report = await collectGarbage([dir.path], { olderThanMs: day, now: Date.now() + 2 * day });
  expect(report.items).toMatchObject([{ isRemoved: true }]);
  expect(await readdir(output)).toEqual(["amalgam.json"]);
  expect(existsSync(root)).toBe(false);
});

test("What died before it began is removed, wherever below the folder it is", async () => {
  await using dir = await withTempDir();
  const dead = JSON.stringify({ token: "t", ...thisProcess(), pid: 1, started: "1", host: "here", beat: 1 });
  const begun = join(dir.path, "x", "out.amalgam-partial.01234567-89ab-cdef-0123-456789abcdef");
  const empty = join(dir.path, "x", "y", "other.amalgam-partial");
  for (const root of [begun, empty]) {
    await mkdir(root, { recursive: true });
    await writeFile(join(root, "lock.7"), dead);
  }
  expect(verdicts(await collectGarbage([dir.path], { patienceMs }))).toEqual([
    [true, "nothing was recorded in it"],
    [true, "nothing was recorded in it"],
  ]);
  expect(await readdir(join(dir.path, "x"))).toEqual(["y"]);
  expect(await readdir(join(dir.path, "x", "y"))).toEqual([]);
});

test("What Amalgam did not write is kept, and links are not followed", async () => {
  await using dir = await withTempDir();
  await using elsewhere = await withTempDir();
  await mkdir(join(elsewhere.path, "far.amalgam-partial"));
  await symlink(elsewhere.path, join(dir.path, "link"));
  await symlink(join(elsewhere.path, "far.amalgam-partial"), join(dir.path, "near.amalgam-partial"));
  for (const name of ["out.amalgam-partial", "out.amalgam-stages"]) {
    await mkdir(join(dir.path, name));
    await writeFile(join(dir.path, name, "thesis.txt"), "mine");
  }
  const later = { olderThanMs: 0, now: Date.now() + 2 * day };
  expect(verdicts(await collectGarbage([dir.path], later))).toEqual([
    [false, 'Amalgam did not write "thesis.txt" in it'],
    [false, 'Amalgam did not write "thesis.txt" in it'],
  ]);
  expect(await readdir(elsewhere.path)).toEqual(["far.amalgam-partial"]);
});

test("Outputs of earlier documents and mirrors are removed when what is made of them is complete, or when they are old", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  const stages = `${output}.amalgam-stages`;
  const parts = ["0123456789abcdef", "nodes", "gates/0123456789abcdef"].map((name) => join(stages, name));
  for (const path of parts) await mkdir(path, { recursive: true });
  expect(verdicts(await collectGarbage([dir.path]))).toMatchObject([[false, expect.stringContaining("go on from it")]]);
  await using staging = await openStaging(await makePlan(dir.path), output, options);
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
  const long = new Date(Date.now() - day);
  for (const path of [...parts, join(stages, "gates"), stages]) await utimes(path, long, long);
  expect(verdicts(await collectGarbage([dir.path]))).toEqual([[true, "its output is complete"]]);
  expect(existsSync(stages)).toBe(false);
});

test("A folder that is not there is told, and the others are looked into", async () => {
  await using dir = await withTempDir();
  await interrupted(dir.path, join(dir.path, "out"));
  const report = await collectGarbage([join(dir.path, "gone"), dir.path]);
  expect(report.warnings).toEqual([expect.stringContaining("Not looked into")]);
  expect(report.items).toHaveLength(1);
});

test("amalgam gc says what it did with what it found", async () => {
  await using work = await withWorkplace();
  await interrupted(work.path, work.at("out"));
  const kept = await work.run("gc", work.path);
  expect(kept).toMatchObject({ code: 0, stderr: "" });
  expect(kept.stdout).toMatch(
    /^kept "out\.amalgam-partial" \(.+\): the same merge can go on from it, .*\n0 folders removed/,
  );
  expect((await work.run("gc", work.path, "--older-than", "soon")).code).toBe(2);
  const dry = await work.run("gc", work.path, "--older-than", "0s", "--dry-run", "--json");
  expect(JSON.parse(dry.stdout)).toMatchObject({ dryRun: true, items: [{ isRemoved: true }] });
  const gone = await work.run("gc", work.path, "--older-than", "0s");
  expect(gone.stdout).toMatch(/^removed "out\.amalgam-partial" .*\n1 folder removed/);
  expect(existsSync(work.at("out.amalgam-partial"))).toBe(false);
});
