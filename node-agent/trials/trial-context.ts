import type { Evaluations } from "../evaluate/evaluations.js";
import type { WorkerPool } from "../pool.js";
import type { Scratch } from "./scratch.js";
import type { WaitSigns } from "./wait-signs.js";

/** What the parts of a trial need of the agent, and of the trial. */
export interface TrialContext {
  readonly pool: WorkerPool;
  readonly evaluations: Evaluations;
  readonly scratch: Scratch;
  readonly signal: AbortSignal;
  /** Of the leader. */
  readonly job: string;
  readonly fence: bigint;
  /** Its number. */
  readonly trial: number;
  readonly signs: WaitSigns;
  /** Tells that something was done. */
  readonly progress: (bytesRead: number, bytesWritten: number, ioSeconds: number) => void;
}
