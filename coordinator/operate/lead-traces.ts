import type { JobRecord } from "../../shared/cluster/records.js";
import type { TraceSpan, Tracing } from "../../shared/trace/tracing.js";
import type { DispatchEvent } from "../dispatch/dispatcher.js";
import type { JobAgent } from "../job/job-agents.js";
import type { JobEvent } from "../job/types.js";
import type { Unit } from "../plan/types.js";
import type { LeadObserver, LeadsObserver } from "./job-observer.js";

type Attempted = Extract<DispatchEvent<Unit, JobAgent>, { readonly unit: Unit }>;

/** Makes a trace of every lead: job → plan, passes → attempts at units, commit. */
export class LeadTraces implements LeadsObserver {
  readonly #tracing: Tracing;
  /** By job, of those that are led. */
  readonly #traceIds = new Map<string, string>();

  constructor(tracing: Tracing) {
    this.#tracing = tracing;
  }

  begin(record: JobRecord): LeadObserver {
    const { id } = record;
    const trace = new LeadTrace(this.#tracing, record, () => this.#traceIds.delete(id));
    this.#traceIds.set(id, trace.traceId);
    return trace;
  }

  /** Of a job that is led; for its lines in the log. */
  traceIdOf(job: string): string | undefined {
    return this.#traceIds.get(job);
  }
}

class LeadTrace implements LeadObserver {
  readonly #tracing: Tracing;
  readonly #onEnd: () => void;
  readonly #job: TraceSpan;
  /** Planning, a pass or the commit, one after the other. */
  #phase: TraceSpan | undefined;
  readonly #attempts = new Map<string, TraceSpan>();

  constructor(tracing: Tracing, { id, starts, traceparent: parent }: JobRecord, onEnd: () => void) {
    this.#tracing = tracing;
    this.#onEnd = onEnd;
    this.#job = tracing.start("job", { parent, facts: { "amalgam.job": id, "amalgam.start": starts } });
    this.#enter("plan");
  }

  get traceId(): string {
    return this.#job.traceId;
  }

  observe(event: JobEvent): void {
    switch (event.type) {
      case "planned": {
        const { digest, method, tensors } = event.plan;
        this.#phase?.set({ "amalgam.method": method, "amalgam.tensors": tensors.length, "amalgam.digest": digest });
        this.#leave();
        return;
      }
      case "gathering":
        this.#enter("gather pass", { "amalgam.pass": event.pass, "amalgam.units": event.units });
        return;
      case "writing":
        this.#enter("write pass", { "amalgam.units": event.units });
        return;
      case "committing":
        this.#enter("commit");
        return;
      case "dispatch":
        if ("unit" in event.event) this.#attempted(event.event);
    }
  }

  traceparentOf(unit: number, epoch: number): string | undefined {
    return this.#attempts.get(keyOf(unit, epoch))?.traceparent;
  }

  end(error?: Error): void {
    for (const attempt of this.#attempts.values()) attempt.end(error);
    this.#attempts.clear();
    this.#leave(error);
    this.#job.end(error);
    this.#onEnd();
  }

  #enter(name: string, facts: Readonly<Record<string, number>> = {}): void {
    this.#leave();
    this.#phase = this.#tracing.start(name, { parent: this.#job.traceparent, facts });
  }

  #leave(error?: Error): void {
    this.#phase?.end(error);
    this.#phase = undefined;
  }

  #attempted(event: Attempted): void {
    const { unit, agent, epoch } = event;
    const key = keyOf(unit.id, epoch);
    if (event.type === "started") {
      const parent = (this.#phase ?? this.#job).traceparent;
      const facts = { "amalgam.unit": unit.id, "amalgam.attempt": epoch, "amalgam.agent": agent.name };
      this.#attempts.set(key, this.#tracing.start("unit attempt", { parent, kind: "client", facts }));
      return;
    }
    const attempt = this.#attempts.get(key);
    if (event.type === "progress") {
      attempt?.set({ "amalgam.bytes_read": event.bytesRead, "amalgam.bytes_written": event.bytesWritten });
      return;
    }
    if (event.type === "superseded") attempt?.set({ "amalgam.superseded": true });
    attempt?.end(event.type === "failed" ? event.error : undefined);
    this.#attempts.delete(key);
  }
}

function keyOf(unit: number, epoch: number): string {
  return `${unit}/${epoch}`;
}
