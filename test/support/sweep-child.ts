import { runSweep } from "../../coordinator/sweep/sweep.js";
import { MadeRunner, type MadeRunnerOptions, makeSweep } from "./sweeps.js";

/** What a child is told, as JSON in its first argument. */
export interface SweepChildTask {
  readonly folder: string;
  readonly output: string;
  readonly trials: number;
  readonly runner: MadeRunnerOptions;
  /** It kills itself after so many milliseconds of sweeping. */
  readonly killAfterMs?: number;
}

const { folder, output, trials, runner, killAfterMs } = JSON.parse(process.argv[2] ?? "") as SweepChildTask;
if (killAfterMs !== undefined) setTimeout(() => process.kill(process.pid, "SIGKILL"), killAfterMs);
await runSweep({
  ...{ spec: await makeSweep(folder, { trials }), folder: output },
  agents: { kind: "running", addresses: [] },
  openRunner: async () => new MadeRunner(runner),
});
