import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commit } from "../../../coordinator/assemble/commit.js";
import { verifyOutput } from "../../../coordinator/inspect/verify.js";
import { withTempDir } from "../../support/checkpoints.js";
import { completeStaging, hashDirectory, makePlan, testRecipe } from "../../support/plans.js";
import { openStaging } from "../../support/staging.js";
import type { MergeChildResult, MergeChildTask } from "./merge-child.js";

const child = fileURLToPath(new URL("./merge-child.js", import.meta.url));

/** Runs a coordinator in a process of its own; undefined when it killed itself as told. */
async function run(task: MergeChildTask): Promise<MergeChildResult | undefined> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [child, JSON.stringify(task)]);
    return JSON.parse(stdout) as MergeChildResult;
  } catch (error) {
    if ((error as { signal?: string }).signal === "SIGKILL") return undefined;
    throw error;
  }
}

/** What a run that nobody disturbed makes, and what another plan made before it. */
let golden: Record<string, string> = {};
let old: Record<string, string> = {};

/** Merges in this process. */
async function merge(directory: string, output: string, salt = ""): Promise<Record<string, string>> {
  await using staging = await openStaging(await makePlan(directory, { salt }), output, { version: "1" });
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
  return await hashDirectory(output);
}

const scratch = withTempDir();
beforeAll(async () => {
  const { path } = await scratch;
  golden = await merge(path, join(path, "golden"));
  old = await merge(path, join(path, "old"), "old");
});
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

/** Steps in the order they are come by; "accepted" and "written" once per piece. */
const beforeRename = [
  "locked",
  "barred",
  "files-adopted",
  "journal-adopted",
  "job-recorded",
  "files-created",
  "written",
  "accepted",
  "digested",
  "weights-synced",
  "companions-written",
  "index-written",
  "manifest-written",
  "held",
  "inspected",
];
const afterRename = ["renamed", "rename-synced", "finished"];

for (const step of beforeRename) {
  test.concurrent(`A crash at "${step}" leaves no output, and the next run makes the same bytes`, async () => {
    await using dir = await withTempDir();
    const task = { directory: dir.path, output: join(dir.path, "out"), overwrite: false };
    expect(await run({ ...task, crash: { step, occurrence: 1 } })).toBeUndefined();
    expect(existsSync(task.output)).toBe(false);
    const result = await run(task);
    expect(result?.keptPieces).toBe(
      step === "accepted" ? 1 : beforeRename.indexOf(step) > beforeRename.indexOf("accepted") ? 12 : 0,
    );
    expect(await hashDirectory(task.output)).toEqual(golden);
    expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
  });
}

for (const step of afterRename) {
  test.concurrent(`A crash at "${step}" leaves the whole output, and the next run only tidies up`, async () => {
    await using dir = await withTempDir();
    const task = { directory: dir.path, output: join(dir.path, "out"), overwrite: false };
    expect(await run({ ...task, crash: { step, occurrence: 1 } })).toBeUndefined();
    expect(await hashDirectory(task.output)).toEqual(golden);
    expect((await verifyOutput(task.output)).isSound).toBe(true);
    expect(await run(task)).toMatchObject({ madePieces: 0 });
    expect(await hashDirectory(task.output)).toEqual(golden);
    expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
  });
}

for (const step of ["locked", "accepted", "manifest-written", "old-moved", ...afterRename]) {
  test.concurrent(`A crash at "${step}" while replacing an output leaves the old one, the new one, or a way to either`, async () => {
    await using dir = await withTempDir();
    const output = join(dir.path, "out");
    expect(await merge(dir.path, output, "old")).toEqual(old);
    const task = { directory: dir.path, output, overwrite: true };
    expect(await run({ ...task, crash: { step, occurrence: 1 } })).toBeUndefined();
    if (step === "old-moved") {
      expect(existsSync(output)).toBe(false);
      const root = `${output}.amalgam-partial`;
      const replaced = (await readdir(root)).find((name) => name.startsWith("replaced."));
      expect(await hashDirectory(join(root, replaced ?? ""))).toEqual(old);
    } else expect(await hashDirectory(output)).toEqual(afterRename.includes(step) ? golden : old);
    await run(task);
    expect(await hashDirectory(output)).toEqual(golden);
    expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
  });
}

test("A coordinator that is killed after every piece still finishes, and does each piece once", async () => {
  await using dir = await withTempDir();
  const task = { directory: dir.path, output: join(dir.path, "out"), overwrite: false };
  for (let piece = 0; piece < 12; piece += 1) {
    expect(await run({ ...task, crash: { step: "accepted", occurrence: 1 } })).toBeUndefined();
  }
  expect(await run(task)).toEqual({ keptPieces: 12, madePieces: 0 });
  expect(await hashDirectory(task.output)).toEqual(golden);
});

for (const crash of [undefined, { step: "accepted", occurrence: 3 }]) {
  const after = crash === undefined ? "" : " after another one crashed";
  test(`Of coordinators that start at once${after}, one does the work and nobody spoils it`, async () => {
    await using dir = await withTempDir();
    await makePlan(dir.path);
    const task = { directory: dir.path, output: join(dir.path, "out"), overwrite: false };
    if (crash !== undefined) expect(await run({ ...task, crash })).toBeUndefined();
    const results = await Promise.allSettled([1, 2, 3, 4].map(() => run(task)));
    const refused = results.filter((result) => result.status === "rejected");
    for (const { reason } of refused) expect(String(reason)).toMatch(/same output|this very output, complete/);
    expect(refused.length).toBeLessThan(4);
    expect(await hashDirectory(task.output)).toEqual(golden);
    expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
  });
}
