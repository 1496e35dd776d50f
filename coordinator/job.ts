import { dirname } from "node:path";
import { chunkBytes, formatBytes } from "../shared/bytes.js";
import { AmalgamError } from "../shared/errors.js";
import { packageVersion } from "../shared/rpc/version.js";
import { type CommitResult, commit } from "./assemble/commit.js";
import { openStaging } from "./assemble/open-staging.js";
import { inspectOutput } from "./assemble/output-directory.js";
import type { ResumeSummary, Staging } from "./assemble/staging.js";
import { type Agents, connectAgents } from "./dispatch/agents.js";
import { runAttempt, type UnitResult } from "./dispatch/attempt.js";
import { type AttemptContext, type DispatchEvent, dispatch } from "./dispatch/dispatcher.js";
import { gatherStatistics } from "./dispatch/gather.js";
import { type LocalAgents, startLocalAgents } from "./dispatch/local-agents.js";
import { createRequestBuilder, type Statistics, type UnitTask } from "./dispatch/request.js";
import { methodOf } from "./plan/check-method.js";
import { type Estimate, estimate } from "./plan/estimate.js";
import { formatQuantity } from "./plan/report.js";
import type { Plan, Unit } from "./plan/types.js";
import { chooseUnitBytes, cutUnits, tensorsToGather } from "./plan/units.js";
import { readRecipe } from "./recipe/read.js";
import { StoredDocuments } from "./stored-documents.js";

/** How a plan is carried out. */
export interface PlanRun {
  readonly output: string;
  readonly agents: LocalAgentsWanted | { readonly kind: "running"; readonly addresses: readonly string[] };
  /** `direct`: agents write the staged files themselves. `stream`: they send bytes back and the coordinator writes. */
  readonly assembly: "direct" | "stream";
  /** Output bytes per unit. Default: see chooseUnitBytes(). */
  readonly unitBytes?: number | undefined;
  readonly overwrite: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: JobEvent) => void;
}

export interface MergeJob extends PlanRun {
  readonly recipeFile: string;
  readonly shardBytes: number;
}

export interface LocalAgentsWanted {
  readonly kind: "local";
  readonly count: number;
  readonly mode: "thread" | "process";
  /** The agent's module. */
  readonly entry: URL;
  readonly slotsEach: number;
  readonly memoryBytesEach: number;
}

/** What happens to a job, as it happens. */
export type JobEvent =
  | { readonly type: "planned"; readonly plan: Plan }
  /** A document is merged by itself first; see MustBeStored. */
  | { readonly type: "stage"; readonly name: string; readonly reason: string }
  | { readonly type: "resumed"; readonly resumed: ResumeSummary }
  | { readonly type: "started"; readonly agents: readonly string[]; readonly cost: Estimate }
  /** Statistics passes that need several agents are over, and units that write begin. */
  | { readonly type: "writing"; readonly units: number; readonly work: number }
  | { readonly type: "gathering"; readonly pass: number; readonly units: number; readonly work: number }
  | { readonly type: "dispatch"; readonly event: DispatchEvent }
  | { readonly type: "committing" };

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

/**
 * The main job: recipe → plan → units → agents → staged bytes → commit. Interrupted at any point, the same call again
 * finishes it, and redoes only what had no receipt.
 */
export async function runMerge(job: MergeJob): Promise<JobResult> {
  const started = performance.now();
  const recipe = await readRecipe(job.recipeFile);
  recipe.stages.forEach(methodOf);
  const store = async (plan: Plan, output: string): Promise<void> => {
    await runPlan(plan, recipe.text, { ...job, output, overwrite: true }, started);
  };
  const documents = new StoredDocuments(job.output, { shardBytes: job.shardBytes }, store, (name, reason) => {
    job.onEvent?.({ type: "stage", name, reason });
  });
  const result = await runPlan(await documents.plan(recipe), recipe.text, job, started);
  await documents.remove();
  return result;
}

/** The main job from the plan on. `started`: when the user asked for it, by `performance.now()`. */
export async function runPlan(plan: Plan, recipeText: string, job: PlanRun, started: number): Promise<JobResult> {
  job.onEvent?.({ type: "planned", plan });
  const totals = new Totals();
  const { state, directory } = await inspectOutput(plan, job.output, { overwrite: job.overwrite });
  let committed: CommitResult | undefined;
  if (state !== "complete") {
    const options = { version: packageVersion(), overwrite: job.overwrite, signal: job.signal };
    await using staging = await openStaging(plan, directory, options);
    if (staging.resumed.keptPieces + staging.resumed.redonePieces > 0) {
      job.onEvent?.({ type: "resumed", resumed: staging.resumed });
    }
    committed = await finish(job, plan, staging, totals, recipeText);
  }
  return { plan, committed, ...totals, seconds: (performance.now() - started) / 1000 };
}

/** Staged bytes that changed after their receipt are computed once more; a disk that keeps changing them is broken. */
const commitAttempts = 2;

async function finish(
  job: PlanRun,
  plan: Plan,
  staging: Staging,
  totals: Totals,
  recipeText: string,
): Promise<CommitResult> {
  for (let attempt = 1; ; attempt += 1) {
    const crew = await assembleCrew(job, plan, staging);
    try {
      await new MergeRun(job, plan, staging, crew.agents, totals).run();
    } catch (reason) {
      await crew[Symbol.asyncDispose]();
      throw reason;
    }
    job.onEvent?.({ type: "committing" });
    // The agents shut down meanwhile.
    const dismissed = crew[Symbol.asyncDispose]();
    try {
      return await commit(staging, { recipeText });
    } catch (reason) {
      if (AmalgamError.from(reason).code !== "chunk_corrupt" || attempt === commitAttempts) throw reason;
    } finally {
      await dismissed;
    }
  }
}

class Totals {
  bytesRead = 0;
  bytesWritten = 0;
  ioSeconds = 0;
  slots = 0;
  retries = 0;
}

interface Crew extends AsyncDisposable {
  readonly agents: Agents;
}

/** The agents of the job: connected to, or started here with just the folders that this job needs. */
async function assembleCrew(job: PlanRun, plan: Plan, staging: Staging): Promise<Crew> {
  const wanted = job.agents;
  const signal = job.signal === undefined ? {} : { signal: job.signal };
  if (wanted.kind === "running") {
    const agents = await connectAgents(wanted.addresses, signal);
    return { agents, [Symbol.asyncDispose]: () => agents[Symbol.asyncDispose]() };
  }
  const sources = plan.sources.map(({ path }) => dirname(path));
  const staged = staging.paths.map((path) => dirname(path));
  const local: LocalAgents = await startLocalAgents({ ...wanted, roots: [...new Set([...sources, ...staged])] });
  try {
    const agents = await connectAgents(local.addresses, signal);
    const dispose = async (): Promise<void> => {
      await agents[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    };
    return { agents, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await local[Symbol.asyncDispose]();
    throw error;
  }
}

/** One job on its agents, from what is left to do to the last receipt. */
class MergeRun {
  readonly #job: PlanRun;
  readonly #plan: Plan;
  readonly #staging: Staging;
  readonly #agents: Agents;
  readonly #totals: Totals;
  readonly #build: ReturnType<typeof createRequestBuilder>;

  constructor(job: PlanRun, plan: Plan, staging: Staging, agents: Agents, totals: Totals) {
    this.#job = job;
    this.#plan = plan;
    this.#staging = staging;
    this.#agents = agents;
    this.#totals = totals;
    this.#build = createRequestBuilder(plan, plan.digest.slice(0, 16));
  }

  async run(): Promise<void> {
    const plan = this.#plan;
    const slots = this.#agents.list.reduce((total, agent) => total + agent.slots, 0);
    this.#totals.slots = slots;
    const unitBytes = this.#job.unitBytes ?? chooseUnitBytes(plan, slots);
    const units = cutUnits(plan, { unitBytes, done: this.#staging.done });
    const cost = estimate(plan, units, slots);
    this.#job.onEvent?.({ type: "started", agents: this.#agents.list.map(({ name }) => name), cost });
    this.#assertMemory(estimate(plan, units, 1).memoryPerAgent);
    const statistics = await this.#gather(unitBytes, units);
    this.#job.onEvent?.({ type: "writing", units: units.length, work: workOf(units) });
    const { assembly } = this.#job;
    const task: UnitTask =
      assembly === "direct" ? { kind: "write", paths: this.#staging.paths } : { kind: "stream", chunkBytes };
    const journaling = new Journaling(this.#job.signal);
    try {
      for await (const { unit, epoch, agent, receipts } of this.#dispatch(units, task, statistics, journaling.signal)) {
        journaling.add(this.#staging.accept(receipts, { unit: unit.id, epoch, agent }));
      }
    } finally {
      await journaling.settled();
    }
  }

  /** An agent whose workers cannot hold one tile is found before a byte of weights moves. */
  #assertMemory(bytesPerSlot: number): void {
    for (const { label, slots, description } of this.#agents.list) {
      if (description === undefined || bytesPerSlot <= description.memoryBytes / slots) continue;
      const needed = formatBytes(bytesPerSlot * slots);
      throw new AmalgamError(
        "usage",
        `Agent ${label} may hold ${formatBytes(description.memoryBytes)} of tensor data, and ${formatQuantity(slots, "slot")} ` +
          `need ${needed} for this merge: give it more with --memory or fewer with --slots`,
      );
    }
  }

  async #gather(unitBytes: number, units: readonly Unit[]): Promise<Statistics> {
    const plan = this.#plan;
    const tensors = tensorsToGather(plan, units);
    if (tensors.size === 0) return new Map();
    const covering = cutUnits(plan, { unitBytes, tensors, forGathering: true });
    return gatherStatistics({
      plan,
      tensors,
      unitsOf: () => covering,
      run: (pass, gathering, statistics) => {
        this.#job.onEvent?.({ type: "gathering", pass, units: gathering.length, work: workOf(gathering) });
        return this.#dispatch(gathering, { kind: "gather", pass }, statistics, this.#job.signal);
      },
      known: this.#staging.statistics,
      onPass: (pass, entries) => this.#staging.recordStatistics(pass, entries),
    });
  }

  #dispatch(
    units: readonly Unit[],
    task: UnitTask,
    statistics: Statistics,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<UnitResult, void, void> {
    const sink = {
      write: (file: number, offset: number, data: Uint8Array) => this.#staging.writeChunk(file, offset, data),
    };
    return dispatch(units, {
      agents: this.#agents,
      signal,
      // In order, so that only a few tensors' counts are held at a time.
      order: task.kind === "gather" ? "given" : "largest",
      tensorsOf: (unit) => unit.pieces.map(({ tensor }) => this.#plan.tensors[tensor]?.name ?? ""),
      onEvent: (event) => {
        if (event.type === "failed") this.#totals.retries += 1;
        // Its agent may still be writing; the commit reads these bytes once more.
        if (event.type === "superseded") this.#staging.contest(event.unit.pieces);
        this.#job.onEvent?.({ type: "dispatch", event });
      },
      run: async ({ unit, agent, epoch, signal, onProgress }: AttemptContext) => {
        const request = this.#build(unit, { epoch, task, statistics });
        const result = await runAttempt(agent, request, { sink, signal, onProgress });
        this.#totals.bytesRead += result.bytesRead;
        this.#totals.bytesWritten += result.bytesWritten;
        this.#totals.ioSeconds += result.ioSeconds;
        return result;
      },
    });
  }
}

/**
 * Receipts on their way into the journal while further units run; the journal syncs those that meet together. The first
 * that cannot be journaled stops the job.
 */
class Journaling {
  readonly #failed = new AbortController();
  readonly #pending = new Set<Promise<void>>();
  readonly signal: AbortSignal;

  constructor(outer: AbortSignal | undefined) {
    this.signal = outer === undefined ? this.#failed.signal : AbortSignal.any([outer, this.#failed.signal]);
  }

  add(accepting: Promise<void>): void {
    this.#pending.add(accepting);
    accepting.then(
      () => this.#pending.delete(accepting),
      (reason: unknown) => this.#failed.abort(AmalgamError.from(reason)),
    );
  }

  /** Waits for all; throws the first failure. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#pending);
    this.#failed.signal.throwIfAborted();
  }
}

/** What a progress bar counts: bytes read and written. */
function workOf(units: readonly Unit[]): number {
  return units.reduce((total, unit) => total + unit.bytesRead + unit.bytesWritten, 0);
}

/** Whether a failure leaves work behind that the same command goes on from. */
export function isResumable(error: AmalgamError): boolean {
  return error.retryable || error.code === "canceled" || error.code === "out_of_space";
}
