import { chunkBytes, formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Staging } from "../assemble/staging.js";
import { Assemblers } from "../dispatch/assemblers/assemblers.js";
import { runAttempt, type UnitResult } from "../dispatch/attempt.js";
import { type AttemptContext, dispatch } from "../dispatch/dispatcher.js";
import { gatherStatistics } from "../dispatch/gather.js";
import { createRequestBuilder, type Statistics, type UnitTask } from "../dispatch/request.js";
import { estimate } from "../plan/estimate.js";
import { formatQuantity } from "../plan/report.js";
import type { Plan, Unit } from "../plan/types.js";
import { chooseUnitBytes, cutUnits, tensorsToGather } from "../plan/units.js";
import { placesOf } from "../sources/mirror.js";
import type { JobAgent, JobAgents } from "./job-agents.js";
import { Journaling } from "./journaling.js";
import { JobPlacement } from "./placement.js";
import type { PlanRun } from "./types.js";

/** What a job has done, over all its runs in this process. */
export class Totals {
  bytesRead = 0;
  bytesWritten = 0;
  ioSeconds = 0;
  slots = 0;
  retries = 0;
}

export interface MergeRunParts {
  readonly job: PlanRun;
  readonly plan: Plan;
  readonly staging: Staging;
  readonly agents: JobAgents;
  readonly leadership: { readonly job: string; readonly fence: bigint };
  readonly totals: Totals;
}

/** Units are cut before the first agent has come: for a handful of them. */
const slotsToCome = 16;

type What =
  | { readonly kind: "gather"; readonly pass: number }
  | { readonly kind: "merge"; readonly assemblers: Assemblers | undefined };

/** One job on its agents, from what is left to do to the last receipt. */
export class MergeRun {
  readonly #parts: MergeRunParts;
  readonly #build: ReturnType<typeof createRequestBuilder>;
  readonly #placement: JobPlacement;
  readonly #bytesPerSlot: number;

  constructor(parts: MergeRunParts) {
    const { plan, agents, job, leadership } = parts;
    this.#parts = parts;
    this.#bytesPerSlot = estimate(plan, [], 1).memoryPerAgent;
    this.#placement = new JobPlacement(plan, agents, {
      bytesPerSlot: this.#bytesPerSlot,
      needsOutput: job.assembly === "direct",
      mirrors: job.mirrors,
    });
    this.#build = createRequestBuilder(plan, leadership.job, {
      fence: leadership.fence,
      ...(job.mirrors && { placeOf: placesOf(plan, { files: job.mirrors }) }),
      peersOf: (source) => this.#placement.peersOf(source),
      certifiedNameOf: (address) => this.#placement.certifiedNameOf(address),
    });
  }

  async run(): Promise<void> {
    const { job, plan, staging, agents, totals } = this.#parts;
    const slots = agents.list.reduce((total, agent) => total + agent.slots, 0);
    totals.slots = slots;
    const unitBytes = job.unitBytes ?? chooseUnitBytes(plan, slots === 0 ? slotsToCome : slots);
    const units = cutUnits(plan, { unitBytes, done: staging.done });
    const cost = estimate(plan, units, Math.max(1, slots));
    job.onEvent?.({ type: "started", agents: agents.list.map(({ name }) => name), cost });
    if (job.agents.kind !== "cluster") this.#assertMemory();
    const statistics = await this.#gather(unitBytes, units);
    job.onEvent?.({ type: "writing", units: units.length, work: workOf(units) });
    const journaling = new Journaling(job.signal);
    const assemblers = this.#startAssemblers();
    try {
      const what = { kind: "merge", assemblers } as const;
      for await (const result of this.#dispatch(units, what, statistics, journaling.signal)) {
        const { unit, epoch, agent, receipts } = result;
        journaling.add(staging.accept(receipts, { unit: unit.id, epoch, agent }));
      }
      await assemblers?.sync();
    } finally {
      await assemblers?.[Symbol.asyncDispose]();
      await this.#distrust(assemblers);
      await journaling.settled();
    }
    this.#assertSynced(assemblers);
  }

  /** What an assembling thread wrote and could not sync is computed again, by this run or the next. */
  async #distrust(assemblers: Assemblers | undefined): Promise<void> {
    for (const file of assemblers?.doubtful ?? []) await this.#parts.staging.distrust(file);
  }

  #assertSynced(assemblers: Assemblers | undefined): void {
    const files = assemblers?.doubtful.size ?? 0;
    if (files === 0) return;
    const message = `An assembling thread was lost before it synced ${formatQuantity(files, "file")}, compute them again`;
    throw new AmalgamError("chunk_corrupt", message);
  }

  #startAssemblers(): Assemblers | undefined {
    const { job, plan, staging } = this.#parts;
    const { assemblers: count = 0, security } = job;
    if (count === 0 || job.assembly === "direct") return undefined;
    const files = plan.files.map(({ header, bytes }, file) => {
      return { path: staging.paths[file] ?? "", begin: header.length, end: bytes };
    });
    return new Assemblers(count, { files, security });
  }

  /** An agent whose workers cannot hold one tile is found before a byte of weights moves. */
  #assertMemory(): void {
    for (const { label, slots, description } of this.#parts.agents.list) {
      if (description === undefined || this.#bytesPerSlot <= description.memoryBytes / slots) continue;
      const needed = formatBytes(this.#bytesPerSlot * slots);
      throw new AmalgamError(
        "usage",
        `Agent ${label} may hold ${formatBytes(description.memoryBytes)} of tensor data, and ${formatQuantity(slots, "slot")} ` +
          `need ${needed} for this merge: give it more with --memory or fewer with --slots`,
      );
    }
  }

  async #gather(unitBytes: number, units: readonly Unit[]): Promise<Statistics> {
    const { job, plan, staging } = this.#parts;
    const tensors = tensorsToGather(plan, units);
    if (tensors.size === 0) return new Map();
    const covering = cutUnits(plan, { unitBytes, tensors, forGathering: true });
    return gatherStatistics({
      plan,
      tensors,
      unitsOf: () => covering,
      run: (pass, gathering, statistics) => {
        job.onEvent?.({ type: "gathering", pass, units: gathering.length, work: workOf(gathering) });
        return this.#dispatch(gathering, { kind: "gather", pass }, statistics, job.signal);
      },
      known: staging.statistics,
      onPass: (pass, entries) => staging.recordStatistics(pass, entries),
    });
  }

  #dispatch(
    units: readonly Unit[],
    what: What,
    statistics: Statistics,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<UnitResult, void, void> {
    const { job, plan, staging, agents, totals } = this.#parts;
    const sink = {
      write: (file: number, offset: number, data: Uint8Array) => staging.writeChunk(file, offset, data),
    };
    return dispatch(units, {
      agents,
      signal,
      placement: {
        refuses: (unit: Unit, agent: JobAgent) => this.#placement.refuses(unit, agent),
        remoteBytes: (unit: Unit, agent: JobAgent) => this.#placement.remoteBytes(unit, agent),
      },
      // Where agents come and go all the time, losing some says little about the unit that they ran.
      retry: job.agents.kind === "cluster" ? { losses: 10 } : {},
      waitForAgentsMs: job.agents.kind === "cluster" ? job.agents.maxWaitMs : 0,
      // In order, so that only a few tensors' counts are held at a time.
      order: what.kind === "gather" ? "given" : "largest",
      tensorsOf: (unit: Unit) => unit.pieces.map(({ tensor }) => plan.tensors[tensor]?.name ?? ""),
      onEvent: (event) => {
        if (event.type === "failed") totals.retries += 1;
        // Its agent may still be writing; the commit reads these bytes once more.
        if (event.type === "superseded") staging.contest(event.unit.pieces);
        job.onEvent?.({ type: "dispatch", event });
      },
      run: async ({ unit, agent, epoch, signal, onProgress }: AttemptContext<Unit, JobAgent>) => {
        const request = this.#build(unit, { epoch, task: this.#taskOf(what, agent), statistics });
        const assemblers = what.kind === "merge" && request.task.kind === "stream" ? what.assemblers : undefined;
        const traceparent = job.traceparentOf?.(unit.id, epoch);
        const result = await (assemblers === undefined
          ? runAttempt(agent, request, { sink, signal, onProgress, traceparent })
          : assemblers.run(agent, request, { signal, onProgress, traceparent }).catch(async (reason: unknown) => {
              throw await staging.parts.lock.reasonOf(reason);
            })
        ).catch((reason: unknown) => {
          const { code, message, details } = AmalgamError.from(reason);
          const { file } = details;
          if (code === "source_refused" && file !== undefined) this.#placement.refuse(agent.address, file, message);
          throw reason;
        });
        totals.bytesRead += result.bytesRead;
        totals.bytesWritten += result.bytesWritten;
        totals.ioSeconds += result.ioSeconds;
        return result;
      },
    });
  }

  /** Whoever sees the output's file system writes to it; the others send their bytes. */
  #taskOf(what: What, { sight }: JobAgent): UnitTask {
    if (what.kind === "gather") return what;
    const { job, staging } = this.#parts;
    const writes = job.assembly === "direct" || (job.assembly === "auto" && sight?.sharesOutput !== false);
    return writes ? { kind: "write", paths: staging.paths } : { kind: "stream", chunkBytes };
  }
}

/** What a progress bar counts: bytes read and written. */
function workOf(units: readonly Unit[]): number {
  return units.reduce((total, unit) => total + unit.bytesRead + unit.bytesWritten, 0);
}
