import { readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Random } from "../../../coordinator/sweep/search/random.js";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { runSweep } from "../../../coordinator/sweep/sweep.js";
import type { TrialRecord } from "../../../coordinator/sweep/types.js";
import { withTempDir } from "../../support/checkpoints.js";
import { MadeRunner, type MadeRunnerOptions, makeSweep } from "../../support/sweeps.js";

async function runHere(
  folder: string,
  output: string,
  trials: number,
  made: MadeRunnerOptions = {},
): Promise<MadeRunner> {
  const runner = new MadeRunner(made);
  const agents = { kind: "running", addresses: [] } as const;
  await runSweep({ spec: await makeSweep(folder, { trials }), folder: output, agents, openRunner: async () => runner });
  return runner;
}

function timeless(records: readonly TrialRecord[]) {
  return records.map(({ startedAt: _, seconds: __, facts: ___, ...rest }) => rest);
}

test.each([1, 2])("files that are cut off anywhere are made good again (seed %i)", async (seed) => {
  await using folder = await withTempDir();
  const [whole, cut] = ["whole", "cut"].map((name) => join(folder.path, name)) as [string, string];
  await runHere(folder.path, whole, 12);
  const random = new Random(seed, "cuts");
  const expected = timeless(await readTrials(whole));
  await runHere(folder.path, cut, 12);
  for (let i = 0; i < 3; i++) {
    for (const name of ["trials.jsonl", "examples.jsonl"]) {
      const path = join(cut, name);
      await truncate(path, random.integer((await readFile(path)).length));
    }
    const { ran } = await runHere(folder.path, cut, 12, { slots: 3, longestMs: 2, seed });
    expect(timeless(await readTrials(cut))).toEqual(expected);
    expect(new Set(ran).size).toBe(ran.length);
  }
});
