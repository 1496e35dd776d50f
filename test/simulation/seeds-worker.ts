import { parentPort, workerData } from "node:worker_threads";
import { simulate } from "./simulate.js";

/** Seeds `from`, `from + step`, … below `to`. */
export interface SeedsWanted {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** What a seed that went wrong is reported with. */
export interface Failure {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly trace: readonly string[];
}

/** Reports that go beyond this say nothing new. */
const maxFailures = 5;

// Thousands of expected failures are made in a run, and nobody reads where.
Error.stackTraceLimit = 0;

const { from, to, step } = workerData as SeedsWanted;
const failures: Failure[] = [];
for (let seed = from; seed < to && failures.length < maxFailures; seed += step) {
  const { violations, trace } = await simulate(seed);
  if (violations.length > 0) failures.push({ seed, violations, trace });
}
parentPort?.postMessage(failures);
// What a simulated crash left waiting would keep the thread.
process.exit();
