import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Staging } from "../../../coordinator/assemble/staging.js";
import { stagingPaths } from "../../../coordinator/assemble/staging-paths.js";
import { assembleCrew } from "../../../coordinator/job/crew.js";
import { MergeRun, Totals } from "../../../coordinator/job/merge-run.js";
import type { PlanRun } from "../../../coordinator/job/types.js";
import { planHere } from "../../../coordinator/plan/planner.js";
import type { Plan } from "../../../coordinator/plan/types.js";
import { readRecipe } from "../../../coordinator/recipe/read.js";
import { runAgent } from "../../../node-agent/main.js";
import { withTempDir } from "../../support/checkpoints.js";
import { writeFamily, writeRecipe } from "../../support/merges.js";
import { openStaging } from "../../support/staging.js";

// What becomes of a merge whose bytes are taken in by threads, when the disk or the staging directory is not theirs.

const scratch = withTempDir();
beforeAll(async () => writeFamily((await scratch).path));
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

async function plan(): Promise<Plan> {
  return planHere(await readRecipe(await writeRecipe((await scratch).path, "linear")), { shardBytes: 100_000 });
}

/** One run of the merge, all of it streamed into threads. */
async function run(staging: Staging, before: () => Promise<void> = async () => undefined): Promise<void> {
  await using agent = await runAgent({ roots: [(await scratch).path], slots: 1, memoryBytes: 128 << 20 });
  const leadership = { job: "job", fence: BigInt(staging.generation) };
  const { plan } = staging.parts;
  const agents = { kind: "running", addresses: [agent.address] } as const;
  const job: PlanRun = { agents, output: "", assembly: "stream", assemblers: 2, unitBytes: 40_000, overwrite: false };
  const nothing = { security: undefined, signal: undefined, mirrors: undefined, onUnfit: () => undefined };
  await using crew = await assembleCrew(agents, { plan, staging, leadership, ...nothing });
  await before();
  await new MergeRun({ job, plan, staging, agents: crew.agents, leadership, totals: new Totals() }).run();
}

/** The same staging, whose first file goes to a disk that takes any byte and cannot be synced. */
function withBrokenFile(staging: Staging): Staging {
  return new Proxy(staging, {
    get: (target, name) => {
      if (name === "paths") return ["/dev/null", ...target.paths.slice(1)];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("A file that a thread cannot sync is computed again by the next run, and no other", async () => {
  const output = join((await scratch).path, "unsynced");
  const made = await plan();
  expect(made.files.length).toBeGreaterThan(1);
  const tensorsOf = (isFirst: boolean): number[] =>
    made.tensors.flatMap(({ file, elements }, i) => (elements > 0 && (file === 0) === isFirst ? [i] : []));
  await using staging = await openStaging(made, output, { version: "1" });
  await expect(run(withBrokenFile(staging))).rejects.toThrow('Cannot sync "/dev/null"');
  for (const tensor of tensorsOf(true)) expect(staging.done.has(tensor)).toBe(false);
  for (const tensor of tensorsOf(false)) expect(staging.done.has(tensor)).toBe(true);
  await run(staging);
  expect(staging.parts.pieces.isWhole).toBe(true);
  await staging.finish();
});

test("Threads whose staging directory was taken over say so, and not that files are missing", async () => {
  const output = join((await scratch).path, "taken");
  await using staging = await openStaging(await plan(), output, { version: "1" });
  const { layout } = staging.parts;
  const theirs = stagingPaths(layout.root, layout.generation + 1);
  const takeOver = async (): Promise<void> => {
    await writeFile(theirs.lock, "");
    await rename(layout.files, theirs.files);
  };
  await expect(run(staging, takeOver)).rejects.toMatchObject({ code: "fenced" });
});
