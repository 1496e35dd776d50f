import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Random } from "../../../coordinator/sweep/search/random.js";
import { LineLog } from "../../../coordinator/sweep/store/line-log.js";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { runSweep } from "../../../coordinator/sweep/sweep.js";
import type { TrialRecord } from "../../../coordinator/sweep/types.js";
import { withTempDir } from "../../support/checkpoints.js";
import type { SweepChildTask } from "../../support/sweep-child.js";
import { MadeRunner, type MadeRunnerOptions, makeSweep } from "../../support/sweeps.js";

const child = fileURLToPath(new URL("../../support/sweep-child.js", import.meta.url));

/** Runs a sweep in a process of its own; whether it was killed. */
async function isKilled(task: SweepChildTask): Promise<boolean> {
  const process = spawn(globalThis.process.execPath, [child, JSON.stringify(task)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code, signal] = (await once(process, "exit")) as [number | null, NodeJS.Signals | null];
  expect([0, null]).toContain(code);
  return signal === "SIGKILL";
}

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

/** Keys of the segments on record. */
async function onRecord(output: string): Promise<readonly string[]> {
  const keys: string[] = [];
  await LineLog.read(join(output, "examples.jsonl"), (json) => {
    const { segment } = JSON.parse(json) as { readonly segment?: string };
    if (segment !== undefined) keys.push(segment);
  });
  return keys;
}

function timeless(records: readonly TrialRecord[]) {
  return records.map(({ startedAt: _, seconds: __, facts: ___, ...rest }) => rest);
}

test("a sweep that is killed again and again ends with the same records, and runs nothing twice that was on record", async () => {
  await using folder = await withTempDir();
  const [whole, killed, log] = ["whole", "killed", "runs.log"].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  const trials = 60;
  await runHere(folder.path, whole, trials);
  const times = new Random(3, "kills");
  const task = { folder: folder.path, output: killed, trials, runner: { slots: 3, longestMs: 60, log } };
  const runs = async (): Promise<readonly string[]> => (await readFile(log, "utf8").catch(() => "")).split("\n");
  let [kills, before, recorded] = [0, 0, new Set<string>()];
  for (let life = 0; life < 6; life++) {
    const wasKilled = await isKilled({ ...task, killAfterMs: 60 + Math.floor(times.uniform() * 160) });
    expect((await runs()).slice(before).filter((key) => recorded.has(key))).toEqual([]);
    if (!wasKilled) break;
    kills += 1;
    before = (await runs()).length - 1;
    recorded = new Set(await onRecord(killed));
  }
  expect(kills).toBeGreaterThan(2);
  expect(recorded.size).toBeGreaterThan(0);
  await runHere(folder.path, killed, trials, { log });
  expect(timeless(await readTrials(killed))).toEqual(timeless(await readTrials(whole)));
});

test.each([1, 2, 3, 4])("files that are cut off anywhere are made good again (seed %i)", async (seed) => {
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
