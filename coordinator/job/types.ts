import type { Security } from "../../shared/rpc/security.js";
import type { CommitResult } from "../assemble/commit.js";
import type { Authority } from "../assemble/lock.js";
import type { ResumeSummary } from "../assemble/staging.js";
import type { Registry } from "../cluster/registry.js";
import type { DispatchEvent } from "../dispatch/dispatcher.js";
import type { EarlyAgents } from "../dispatch/embedded-agents.js";
import type { Estimate } from "../plan/estimate.js";
import type { Planner } from "../plan/planner.js";
import type { Plan, Unit } from "../plan/types.js";
import type { Made } from "../provenance/made.js";
import type { Sign } from "../provenance/signing/sign.js";
import type { RecipeFile } from "../recipe/recipe.js";
import type { Sink } from "../sinks/sink.js";
import type { Mirrors } from "../sources/mirror.js";
import type { JobAgent } from "./job-agents.js";

/** How a plan is carried out. */
export interface PlanRun {
  readonly output: string;
  /** Where the output goes instead of into the folder `output`, beside which the work on it is staged all the same. */
  readonly sink?: Sink | undefined;
  readonly agents: AgentsWanted;
  /**
   * `direct`: agents write the staged files themselves. `stream`: they send bytes back and the coordinator writes.
   * `auto`: each agent as it can.
   */
  readonly assembly: "direct" | "stream" | "auto";
  /** Threads that take in what agents stream. @default 0: this one does it */
  readonly assemblers?: number | undefined;
  /** How agents are connected to. @default loopback alone */
  readonly security?: Security | undefined;
  /** Models that only agents have, by where the plan has them. */
  readonly mirrors?: Mirrors["files"] | undefined;
  /** Set when a coordinator of a cluster leads the job. */
  readonly cluster?: ClusterLead | undefined;
  /** Output bytes per unit. Default: see chooseUnitBytes(). */
  readonly unitBytes?: number | undefined;
  readonly overwrite: boolean;
  /** What decides the output's bytes besides the recipe, for its manifest. */
  readonly made?: Made | undefined;
  /** Signs the output before it appears. */
  readonly sign?: Sign | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: JobEvent) => void;
  /** W3C trace context to send along with an attempt that was told of as started. */
  readonly traceparentOf?: ((unit: number, epoch: number) => string | undefined) | undefined;
}

export interface MergeJob extends PlanRun {
  readonly recipeFile: string;
  readonly shardBytes: number;
}

/** The same with a recipe that was read elsewhere. */
export interface RecipeJob extends Omit<MergeJob, "recipeFile"> {
  readonly recipe: RecipeFile;
  /** @default planHere */
  readonly planner?: Planner | undefined;
}

export type AgentsWanted =
  | LocalAgentsWanted
  | { readonly kind: "running"; readonly addresses: readonly string[] }
  /** Those of the cluster, as they come and go. `maxWaitMs`: how long the job waits while there is none for it. */
  | { readonly kind: "cluster"; readonly registry: Registry; readonly maxWaitMs: number };

/** By what right a coordinator works on the output. */
export interface ClusterLead {
  readonly authority: Authority;
  /** The digest of the plan that an earlier leader of this job made. Fails with `NotHere` when this one's differs. */
  readonly planned?: string | undefined;
  /** Fails with `fenced` when another coordinator leads by now. */
  readonly assertLeading: () => Promise<void>;
  /** Called when the output's storage has not answered for 30 seconds. */
  readonly onStorageSilent?: (() => void) | undefined;
  /** A folder that keeps the journals of finished jobs. */
  readonly keepJournal?: string | undefined;
}

export interface LocalAgentsWanted {
  readonly kind: "local";
  readonly count: number;
  readonly mode: "thread" | "process";
  /** The agent's module. */
  readonly entry: URL;
  readonly slotsEach: number;
  readonly memoryBytesEach: number;
  /** The first that are needed, started by now. @default they are started when they are needed */
  readonly early?: EarlyAgents | undefined;
}

/** What happens to a job, as it happens. */
export type JobEvent =
  /** `isStage`: of a document that is merged by itself first. */
  | { readonly type: "planned"; readonly plan: Plan; readonly isStage?: boolean }
  /** A document is merged by itself first; see MustBeStored. */
  | { readonly type: "stage"; readonly name: string; readonly reason: string }
  /** An agent of the cluster does not take part. */
  | { readonly type: "unfit"; readonly agent: string; readonly reason: string }
  /** The base of a mixture of experts is run on prompts, for its gates. `doneBefore`: what an earlier run has left of them. */
  | { readonly type: "prompts"; readonly done: number; readonly doneBefore: number; readonly prompts: number }
  /** An agent could not run it on some of them; `retryMs`: until they are tried again, if they are. */
  | {
      readonly type: "prompts failed";
      readonly agent: string;
      readonly reason: string;
      readonly retryMs: number | undefined;
    }
  | { readonly type: "resumed"; readonly resumed: ResumeSummary }
  | { readonly type: "started"; readonly agents: readonly string[]; readonly cost: Estimate }
  /** Statistics passes that need several agents are over, and units that write begin. */
  | { readonly type: "writing"; readonly units: number; readonly work: number }
  | { readonly type: "gathering"; readonly pass: number; readonly units: number; readonly work: number }
  | { readonly type: "dispatch"; readonly event: DispatchEvent<Unit, JobAgent> }
  | { readonly type: "committing" }
  /** While committing: how much of the output's weights a server has, of so many bytes. */
  | { readonly type: "sending"; readonly sent: number; readonly bytes: number };

export interface JobResult {
  readonly plan: Plan;
  /** Undefined: the output was complete already. */
  readonly committed: CommitResult | undefined;
  readonly seconds: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Seconds that agents and coordinator spent in reads and writes, summed over slots. */
  readonly ioSeconds: number;
  readonly slots: number;
  readonly retries: number;
}
