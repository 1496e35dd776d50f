import type { ClusterEvent } from "../../shared/cluster/records.js";
import type { Metrics } from "../../shared/metrics/metrics.js";
import type { DispatchEvent } from "../dispatch/dispatcher.js";
import type { JobAgent } from "../job/job-agents.js";
import type { JobEvent } from "../job/types.js";
import type { Plan, Unit } from "../plan/types.js";
import type { LeadObserver, LeadsObserver } from "./job-observer.js";

/** What becomes of a lead, by what the cluster is told. */
const outcomes: Readonly<Record<string, string>> = {
  leading: "began",
  "job done": "done",
  "job failed": "failed",
  "job canceled": "canceled",
  "job queued": "passed_on",
  left: "left",
  "lead broken off": "left",
};

type Attempted = Extract<DispatchEvent<Unit, JobAgent>, { readonly unit: Unit }>;

/** Counts what happens to the jobs that are led here. `now` in milliseconds, from any start. */
export class LeadMetrics implements LeadsObserver {
  readonly #metrics: Metrics;
  readonly #now: () => number;
  readonly #leads = new Set<LeadCount>();

  constructor(metrics: Metrics, now: () => number = () => performance.now()) {
    this.#metrics = metrics;
    this.#now = now;
    // Alerts on what grows want it to be there before it does.
    for (const outcome of new Set(Object.values(outcomes))) metrics.counter("amalgam_leads_total").inc({ outcome }, 0);
    for (const won of ["true", "false"]) metrics.counter("amalgam_speculative_total").inc({ won }, 0);
    metrics.onScrape(() => this.#tellUnits());
  }

  begin(): LeadObserver {
    const lead = new LeadCount(this.#metrics, this.#now, () => this.#leads.delete(lead));
    this.#leads.add(lead);
    return lead;
  }

  hear({ type, fields }: ClusterEvent): void {
    const outcome = outcomes[type];
    if (outcome !== undefined) this.#metrics.counter("amalgam_leads_total").inc({ outcome });
    const efficiency = fields?.["efficiency"];
    if (typeof efficiency === "number") this.#metrics.gauge("amalgam_efficiency_ratio").set(efficiency);
  }

  leaseExpired(): void {
    this.#metrics.counter("amalgam_lease_expired_total").inc();
  }

  #tellUnits(): void {
    const gauge = this.#metrics.gauge("amalgam_units");
    const sum = (count: (lead: LeadCount) => number): number =>
      [...this.#leads].reduce((total, lead) => total + count(lead), 0);
    gauge.set(
      { state: "running" },
      sum(({ running }) => running),
    );
    gauge.set(
      { state: "done" },
      sum(({ done }) => done),
    );
    gauge.set(
      { state: "waiting" },
      sum(({ waiting }) => waiting),
    );
  }
}

interface Attempt {
  readonly startedMs: number;
  /** Another attempt at the unit ran when it was started. */
  readonly isSecond: boolean;
  bytesRead: number;
  bytesWritten: number;
}

/** One lead's part. */
class LeadCount implements LeadObserver {
  readonly #metrics: Metrics;
  readonly #now: () => number;
  readonly #onEnd: () => void;
  #plan: Pick<Plan, "method" | "tensors"> | undefined;
  #pass: "gather" | "write" = "write";
  #units = 0;
  #done = 0;
  /** By unit, then by epoch. */
  readonly #running = new Map<number, Map<number, Attempt>>();

  constructor(metrics: Metrics, now: () => number, onEnd: () => void) {
    this.#metrics = metrics;
    this.#now = now;
    this.#onEnd = onEnd;
  }

  get running(): number {
    return this.#running.size;
  }

  get done(): number {
    return this.#done;
  }

  get waiting(): number {
    return Math.max(0, this.#units - this.#done - this.#running.size);
  }

  observe(event: JobEvent): void {
    if (event.type === "planned") this.#plan = event.plan;
    else if (event.type === "gathering") this.#begin("gather", event.units);
    else if (event.type === "writing") this.#begin("write", event.units);
    else if (event.type === "dispatch" && "unit" in event.event) this.#attempted(event.event);
  }

  end(): void {
    this.#onEnd();
  }

  #begin(pass: "gather" | "write", units: number): void {
    this.#pass = pass;
    this.#units = units;
    this.#done = 0;
    this.#running.clear();
  }

  #attempted(event: Attempted): void {
    const { unit, epoch } = event;
    const attempts = this.#running.get(unit.id);
    if (event.type === "started") {
      const started = { startedMs: this.#now(), isSecond: attempts !== undefined, bytesRead: 0, bytesWritten: 0 };
      this.#running.set(unit.id, new Map(attempts).set(epoch, started));
      return;
    }
    const attempt = attempts?.get(epoch);
    if (attempt === undefined) return;
    if (event.type === "progress") {
      this.#count(attempt, event.bytesRead, event.bytesWritten);
      return;
    }
    attempts?.delete(epoch);
    if (attempts?.size === 0) this.#running.delete(unit.id);
    if (attempt.isSecond) {
      const won = event.type === "finished" ? "true" : "false";
      this.#metrics.counter("amalgam_speculative_total").inc({ won });
    }
    if (event.type === "finished") this.#finished(unit, attempt);
    if (event.type === "failed") this.#failed(event.error.code);
  }

  /** Attempts tell all that they have done so far. */
  #count(attempt: Attempt, bytesRead: number, bytesWritten: number): void {
    this.#metrics.counter("amalgam_bytes_read_total").inc(Math.max(0, bytesRead - attempt.bytesRead));
    this.#metrics.counter("amalgam_bytes_written_total").inc(Math.max(0, bytesWritten - attempt.bytesWritten));
    attempt.bytesRead = bytesRead;
    attempt.bytesWritten = bytesWritten;
  }

  #finished(unit: Unit, { startedMs }: Attempt): void {
    this.#done += 1;
    this.#metrics.counter("amalgam_units_finished_total").inc();
    const labels = {
      method: this.#plan?.method ?? "none",
      dtype: this.#plan?.tensors[unit.pieces[0]?.tensor ?? 0]?.dtype ?? "none",
      pass: this.#pass,
    };
    this.#metrics.histogram("amalgam_unit_seconds").observe(labels, (this.#now() - startedMs) / 1000);
  }

  #failed(reason: string): void {
    this.#metrics.counter("amalgam_retries_total").inc({ reason });
    if (reason === "chunk_corrupt") this.#metrics.counter("amalgam_crc_mismatch_total").inc();
  }
}
