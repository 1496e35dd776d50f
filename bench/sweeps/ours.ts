import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startLocalAgents } from "../../coordinator/dispatch/local-agents.js";
import { readSweep } from "../../coordinator/sweep/spec/read.js";
import { runSweep } from "../../coordinator/sweep/sweep.js";
import type { SweepSpec, TrialRecord } from "../../coordinator/sweep/types.js";
import type { TrialModels } from "./cases.js";
import { type Peak, watchMemory } from "./resident.js";

/** What a sweep took. */
export interface SweepRun {
  readonly spec: SweepSpec;
  /**
   * Per trial, from the first one's record to the last one's: the agent has read its inputs by then, and what a sweep does
   * after its search is not counted.
   */
  readonly secondsEach: number;
  readonly trials: readonly TrialRecord[];
  /** Of the agent, as others see it. */
  readonly peak: Readonly<Peak>;
}

/** As `amalgam sweep` gives its agents. */
const workers = { slotsEach: 2, memoryBytesEach: 2 * 1024 ** 3 };

/** Runs a sweep on one agent, in a process of its own that has not seen the models. */
export async function runOurs(file: string, out: string, models: TrialModels, threads: number): Promise<SweepRun> {
  const memory = mkdtempSync("/dev/shm/amalgam-bench-");
  try {
    await using agents = await startLocalAgents({
      ...{ count: 1, mode: "process", ...workers, roots: [models.folder] },
      entry: new URL("../../node-agent/main.js", import.meta.url),
      words: ["--trial-folder", memory, "--trial-memory", String(models.trialMemoryBytes)],
    });
    const [pid = 0] = agents.pids;
    const spec = await readSweep(file);
    const trials: TrialRecord[] = [];
    const recordedAt: number[] = [];
    using watched = watchMemory(pid, memory);
    await runSweep({
      ...{ spec, threads, folder: join(out, "sweep"), overwrite: true },
      agents: { kind: "running", addresses: agents.addresses },
      onEvent: (event) => {
        if (event.type !== "trial") return;
        recordedAt.push(performance.now());
        trials.push(event.record);
      },
    });
    const failed = trials.find(({ failure }) => failure !== undefined);
    if (failed !== undefined) throw new Error(`Trial ${failed.trial} failed: ${failed.failure?.message}`);
    const [first = 0, last = 0] = [recordedAt[0], recordedAt.at(-1)];
    return { spec, trials, secondsEach: (last - first) / 1000 / (trials.length - 1), peak: watched.peak };
  } finally {
    rmSync(memory, { recursive: true, force: true });
  }
}
