import { JobStore } from "../../../../coordinator/cluster/jobs.js";
import type { Lead, LeadResult } from "../../../../coordinator/cluster/lead.js";
import { seenLease } from "../../../../coordinator/cluster/lease-state.js";
import { CoordinatorService } from "../../../../coordinator/cluster/service.js";
import { sleep } from "../../../../shared/clock.js";
import { type JobRecord, jobRecord, keys, type LeaseRecord, parseRecord } from "../../../../shared/cluster/records.js";
import { textLog } from "../../../../shared/log/text-log.js";
import { type MemoryBus, MemoryEngine } from "../../../simulation/memory-bus.js";
import { ProcessClock, VirtualClock } from "../../../simulation/virtual-clock.js";
import { someRequest } from "./records.js";

/** What a lead of these tests does: work for a while, in steps, then one step that cannot be taken back. */
export interface Work {
  readonly steps: number;
  readonly stepMs: number;
  /** Instead of the last step. */
  readonly failWith?: Error;
  /** Why the coordinator of that name cannot lead it, if so. */
  /** How long the storage of the coordinator of that name hangs before that is noticed; undefined: it does not. */
  readonly hangsMs?: (name: string) => number | undefined;
  readonly elsewhere?: (name: string) => string | undefined;
  /** Called when everything is done but the last step, with the coordinator's name. */
  readonly beforePublishing?: (name: string) => void;
  /** Tells that steps were done. */
  readonly tellsProgress?: boolean;
  /** Called after the last step. */
  readonly afterPublishing?: (name: string) => void;
  readonly tidyingFailsWith?: Error;
}

export interface Coordinator {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly bus: MemoryBus;
  readonly service: CoordinatorService;
  /** SIGTERM. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): void;
}

/** Coordinators on one engine and one virtual clock, whose leads leave a trace. */
export class World {
  readonly clock = new VirtualClock();
  readonly engine = new MemoryEngine(this.clock);
  readonly jobs = new JobStore(this.engine.client("user"), this.clock);
  /** `one began`, `one published`, …: in order. */
  readonly trace: string[] = [];
  readonly log: string[] = [];
  /** What the record said of the job when its lead tidied up: `one: done`. */
  readonly tidied: string[] = [];
  work: Work = { steps: 10, stepMs: 1_000 };

  start(name: string, options: { readonly maxJobs?: number } = {}): Coordinator {
    const clock = new ProcessClock(this.clock);
    const bus = this.engine.client(name, clock);
    const service = new CoordinatorService(bus, {
      name,
      instance: `${name}#${this.clock.now()}`,
      clock,
      lead: (lead) => this.#lead(name, clock, lead),
      random: () => 0.5,
      date: () => new Date(this.clock.now()),
      log: textLog((line) => this.log.push(`${name}: ${line}`)),
      ...options,
    });
    const term = new AbortController();
    const running = service.run(term.signal);
    running.catch(() => undefined);
    return {
      name,
      clock,
      bus,
      service,
      stop: async () => {
        term.abort();
        let isOver = false;
        const over = (): void => {
          isOver = true;
        };
        running.then(over, over);
        await this.clock.advanceUntil(() => isOver, 60_000);
        return running;
      },
      kill: () => clock.freeze(),
    };
  }

  async submit(id = "job"): Promise<void> {
    await this.jobs.submit(someRequest, { id, by: "user", at: new Date(this.clock.now()).toISOString() });
  }

  record(id = "job"): JobRecord | undefined {
    return parseRecord(jobRecord, this.engine.state.get(keys.job(id))?.value);
  }

  lease(id = "job"): LeaseRecord | undefined {
    return seenLease(this.engine.state.get(keys.lease(id)))?.record;
  }

  /** Lets time pass until the trace has it. */
  async until(what: string, limitMs = 120_000): Promise<void> {
    if (await this.clock.advanceUntil(() => this.trace.includes(what), limitMs)) return;
    throw new Error(`"${what}" did not happen: ${this.trace.join(", ")}\n${this.log.join("\n")}`);
  }

  async untilState(state: JobRecord["state"], id = "job", limitMs = 120_000): Promise<void> {
    if (await this.clock.advanceUntil(() => this.record(id)?.state === state, limitMs)) return;
    throw new Error(`Job ${id} did not get ${state}: ${this.trace.join(", ")}\n${this.log.join("\n")}`);
  }

  async #lead(name: string, clock: ProcessClock, lead: Lead): Promise<LeadResult> {
    const { steps, stepMs, failWith, tellsProgress, beforePublishing, afterPublishing, tidyingFailsWith } = this.work;
    this.trace.push(`${name} began`);
    const hangsMs = this.work.hangsMs?.(name);
    if (hangsMs !== undefined) {
      await sleep(clock, hangsMs);
      lead.abandon("the storage does not answer");
      return new Promise(() => undefined);
    }
    const elsewhere = this.work.elsewhere?.(name);
    if (elsewhere !== undefined) return { elsewhere };
    await lead.setState("running");
    for (let step = 0; step < steps; step += 1) {
      await sleep(clock, stepMs, lead.signal);
      if (lead.signal.aborted) this.trace.push(`${name} stopped`);
      lead.signal.throwIfAborted();
      if (tellsProgress) lead.progress({ ...noProgress, units: steps, unitsDone: step + 1 });
    }
    if (failWith !== undefined) throw failWith;
    await lead.setState("committing");
    beforePublishing?.(name);
    await sleep(clock, 1);
    await lead.assertLeading();
    this.trace.push(`${name} published`);
    afterPublishing?.(name);
    const tidyUp = async (): Promise<void> => {
      this.tidied.push(`${name}: ${this.record(lead.record.id)?.state}`);
      if (tidyingFailsWith !== undefined) throw tidyingFailsWith;
    };
    return { digest: "abc", tidyUp };
  }
}

const noProgress = {
  units: 0,
  unitsDone: 0,
  work: 0,
  workDone: 0,
  agents: 0,
  slots: 0,
  retries: 0,
  bytesPerSecond: 0,
} as const;
