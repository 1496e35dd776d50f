import { ackWaitMs, type Bus, type Delivery, wordOf } from "../../shared/bus/bus.js";
import { type Clock, sleep } from "../../shared/clock.js";
import { type ClusterEvent, isOver, type JobRecord, type ProgressRecord } from "../../shared/cluster/records.js";
import type { UnitsRecord } from "../../shared/cluster/units-record.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Log } from "../../shared/log/log.js";
import { quote } from "../../shared/quote.js";
import { unlessAborted } from "../../shared/unless-aborted.js";
import { moved } from "./job-states.js";
import { JobStore } from "./jobs.js";
import type { Lead, LeadFields, LeadJob, LeadResult, LeadState } from "./lead.js";
import type { Lease } from "./lease.js";
import { LedRecord } from "./led-record.js";
import { type Interruption, outcomeOf, refusalOf, type Settled } from "./outcome.js";
import { ProgressReport } from "./progress-report.js";
import type { Registry } from "./registry.js";

/** How often a leader looks at the record of its job: whether it is to be canceled, and whether the engine still has it. */
const keepMs = 2_000;
/** Pause between two tries to write how a job ended. */
const insistMs = 500;

export interface LeadingContext {
  readonly bus: Bus;
  readonly clock: Clock;
  /** Of the coordinator. */
  readonly name: string;
  readonly registry: Registry;
  readonly lead: LeadJob;
  readonly date: () => Date;
  readonly log: Log;
  /** Hears what the cluster is told of the job. */
  readonly onEvent?: ((event: ClusterEvent) => void) | undefined;
}

/** One job in this coordinator's hands, from the lease that was taken to its release. */
export class Leading {
  readonly #context: LeadingContext;
  readonly #lease: Lease;
  readonly #led: LedRecord;
  readonly #progress: ProgressReport;
  /** The lead is to stop. */
  readonly #stop = new AbortController();
  /** The lead is not waited for any more, though it may still be doing something. */
  readonly #abandoned = new AbortController();
  /** The lead has stopped: nobody but the end writes the record from here on. */
  readonly #settled = new AbortController();
  readonly #over = new AbortController();
  /** Nothing is to be waited for any more: the job is lost, or we shut down. */
  readonly #hurry = new AbortController();
  #deliveries: readonly Delivery[] = [];
  #interruption: Interruption;
  #unitsDoneAtFirst: number | undefined;
  #isElsewhere = false;
  /** Ends the pause before the next look at the record. */
  #nudge = new AbortController();

  constructor(context: LeadingContext, lease: Lease, found: JobRecord) {
    const { bus, clock, name } = context;
    this.#context = context;
    this.#lease = lease;
    const begun = moved(moved(found, "queued"), "planning");
    this.#led = new LedRecord(bus, { ...begun, starts: found.starts + 1, leader: name });
    this.#progress = new ProgressReport(bus, clock, found.id);
    lease.signal.addEventListener("abort", () => this.#interrupt("lost", AmalgamError.from(lease.signal.reason)));
    if (lease.signal.aborted) this.#interrupt("lost", AmalgamError.from(lease.signal.reason));
  }

  /** The engine delivered the job again, or for the first time. */
  attach(delivery: Delivery): void {
    this.#deliveries = [...this.#deliveries, delivery];
    delivery.working();
  }

  /** Look at the record now: it changed. */
  nudge(): void {
    this.#nudge.abort();
  }

  /** The job is to be led by another coordinator: it cannot be led here. */
  get isElsewhere(): boolean {
    return this.#isElsewhere;
  }

  /** Stops the lead and leaves the job to others. */
  shutDown(): void {
    const why = `Coordinator ${quote(this.#context.name)} shuts down`;
    this.#interrupt("shutdown", new AmalgamError("canceled", why));
  }

  /** Leads the job until it is over, or in other hands. Never fails. */
  async run(): Promise<void> {
    const keeping = this.#keep();
    const working = this.#saySo();
    try {
      const settled = await this.#carryOut();
      this.#settled.abort();
      this.nudge();
      await Promise.all([keeping, this.#led.told(), this.#progress.end()]);
      await this.#end(settled);
    } catch (error) {
      this.#event("error", "lead broken off", AmalgamError.from(error).message);
    }
    this.#over.abort();
    await working;
    // The lease last: whoever takes it next finds what became of the job.
    await this.#lease.release();
  }

  async #carryOut(): Promise<Settled> {
    const lost = refusalOf({ ...this.#led.record, starts: this.#led.record.starts - 1 });
    try {
      await this.#insist(() => this.#led.tell());
      this.#heedCancel();
      this.#stop.signal.throwIfAborted();
      if (lost !== undefined) return new AmalgamError("internal", lost);
      this.#event("info", "leading", `Leads job ${quote(this.#led.record.id)}, start ${this.#led.record.starts}`);
      return await unlessAborted(this.#abandoned.signal, this.#context.lead(this.#lead()));
    } catch (error) {
      return AmalgamError.from(error);
    }
  }

  /** Writes how the job ended, however long the engine is away, for otherwise it would be done again; then lets go of it. */
  async #end(settled: Settled): Promise<void> {
    const { record } = this.#led;
    const ended = outcomeOf(record, settled, this.#interruption, this.#context.date().toISOString());
    if (ended === undefined) {
      await this.#countAsWell();
      return this.#leave("no longer leads it", settled);
    }
    this.#isElsewhere = !(settled instanceof Error) && settled.elsewhere !== undefined;
    this.#led.edit(() => ended);
    try {
      await this.#insist(() => this.#led.tellAfter(() => this.#lease.confirm(this.#hurry.signal)));
    } catch (error) {
      return this.#leave("could not write how it ended", AmalgamError.from(error));
    }
    const why = ended.reason === undefined ? "" : `: ${ended.reason}`;
    this.#event(
      ended.state === "failed" ? "error" : "info",
      `job ${ended.state}`,
      `Job ${quote(ended.id)} ${ended.state === "failed" ? "has failed" : `is ${ended.state}`}${why}`,
      ended.state === "failed" && settled instanceof AmalgamError ? { code: settled.code } : undefined,
    );
    if (ended.endedAt === undefined) this.#passOn();
    else await Promise.all(this.#deliveries.map((delivery) => delivery.done()));
    if (ended.state === "done" && !(settled instanceof Error)) await this.#tidyUp(settled);
  }

  async #tidyUp({ tidyUp }: LeadResult): Promise<void> {
    try {
      await tidyUp?.();
    } catch (error) {
      this.#event("warning", "not tidied up", AmalgamError.from(error).message);
    }
  }

  /** What was lost is the lease and not this coordinator: the start does not count against the job. */
  async #countAsWell(): Promise<void> {
    const { bus, clock } = this.#context;
    const { id, starts } = this.#led.record;
    const isCounted = (found: JobRecord): boolean =>
      isOver(found.state) || found.starts < starts || (found.startsWell ?? 0) >= starts;
    const counting = new JobStore(bus, clock).change(id, (found) =>
      isCounted(found) ? undefined : { ...found, startsWell: starts },
    );
    await counting.catch((reason: unknown) =>
      this.#event("debug", "start not counted", AmalgamError.from(reason).message),
    );
  }

  #leave(what: string, settled: Settled): void {
    const why = settled instanceof Error ? `: ${settled.message}` : "";
    this.#event("warning", "left", `Job ${quote(this.#led.record.id)}: this coordinator ${what}${why}`);
    this.#passOn();
  }

  /** Offers the job to others, at once if there is nothing wrong with it. */
  #passOn(): void {
    for (const delivery of this.#deliveries) delivery.later(this.#interruption === "shutdown" ? 0 : keepMs);
  }

  /** Tries again while the engine does not answer. A coordinator that shuts down tries once. */
  async #insist(act: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await act();
      } catch (error) {
        if (AmalgamError.from(error).code !== "bus_failed" || this.#hurry.signal.aborted) throw error;
        await sleep(this.#context.clock, insistMs, this.#hurry.signal);
      }
    }
  }

  #interrupt(interruption: "lost" | "cancel" | "shutdown", why: AmalgamError): void {
    // A lease that is lost outdoes every other reason, for then nothing may be written.
    if (this.#interruption === undefined || interruption === "lost") this.#interruption = interruption;
    if (interruption !== "cancel") this.#hurry.abort(why);
    this.#stop.abort(why);
  }

  /** As if the lease were lost: whoever takes it next has the staging directory, and this lead, if it goes on, has not. */
  #abandon(why: string): void {
    const reason = new AmalgamError("fenced", `Job ${quote(this.#led.record.id)} is left to others: ${why}`);
    this.#isElsewhere = true;
    this.#interrupt("lost", reason);
    this.#abandoned.abort(reason);
  }

  #heedCancel(): void {
    if (!this.#led.record.cancel || this.#interruption !== undefined) return;
    this.#interrupt(
      "cancel",
      new AmalgamError("canceled", `Job ${quote(this.#led.record.id)} was canceled`, { details: { by: "user" } }),
    );
  }

  async #keep(): Promise<void> {
    while (!this.#settled.signal.aborted && this.#interruption !== "lost") {
      await sleep(this.#context.clock, keepMs, this.#nudge.signal);
      this.#nudge = new AbortController();
      if (!this.#settled.signal.aborted) await this.#tell();
    }
  }

  /** Never fails: an engine that does not answer is asked again at the next look. */
  async #tell(): Promise<void> {
    try {
      await this.#led.tell();
      this.#heedCancel();
    } catch (error) {
      const reason = AmalgamError.from(error);
      if (reason.code !== "bus_failed") this.#interrupt("lost", reason);
    }
  }

  async #saySo(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await sleep(this.#context.clock, ackWaitMs / 4, this.#over.signal);
      if (this.#interruption === "lost" || this.#over.signal.aborted) return;
      for (const delivery of this.#deliveries) delivery.working();
    }
  }

  #lead(): Lead {
    const lease = this.#lease;
    return {
      record: this.#led.record,
      get epoch() {
        return lease.epoch;
      },
      signal: this.#stop.signal,
      registry: this.#context.registry,
      assertLeading: async () => {
        await lease.confirm(this.#stop.signal);
        this.#stop.signal.throwIfAborted();
      },
      abandon: (why) => this.#abandon(why),
      setState: (state, fields) => this.#setState(state, fields),
      progress: (progress, units) => this.#tellProgress(progress, units),
      event: (level, type, message, fields) => this.#event(level, type, message, fields),
    };
  }

  async #setState(state: LeadState, fields?: LeadFields): Promise<void> {
    if (this.#settled.signal.aborted) return;
    this.#led.edit((record) => moved(record, state, fields));
    await this.#tell();
    if (this.#interruption === "lost") this.#stop.signal.throwIfAborted();
  }

  #tellProgress(progress: ProgressRecord, units: (() => UnitsRecord) | undefined): void {
    if (this.#settled.signal.aborted) return;
    this.#progress.add(progress, units);
    this.#unitsDoneAtFirst ??= progress.unitsDone;
    const { starts, startsWell } = this.#led.record;
    if (progress.unitsDone <= this.#unitsDoneAtFirst || startsWell === starts) return;
    this.#led.edit((record) => ({ ...record, startsWell: starts }));
    this.nudge();
  }

  #event(level: ClusterEvent["level"], type: string, message: string, fields?: ClusterEvent["fields"]): void {
    const { bus, date, name, log, onEvent } = this.#context;
    const { id } = this.#led.record;
    const event: ClusterEvent = {
      at: date().toISOString(),
      level,
      node: name,
      job: id,
      type: type.slice(0, 60),
      message: message.slice(0, 4_000),
      ...(fields && { fields }),
    };
    bus.events.append(wordOf(id), JSON.stringify(event));
    log[level](message, { ...fields, job: id, event: type });
    onEvent?.(event);
  }
}
