import { hostname } from "node:os";
import { ackWaitMs, type Bus, type Delivery } from "../../shared/bus/bus.js";
import { type Clock, sleep } from "../../shared/clock.js";
import { claimName } from "../../shared/cluster/claim-name.js";
import {
  type ClusterEvent,
  defaultBeatMs,
  isOver,
  type JobRecord,
  keys,
  type NodeRecord,
} from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Log } from "../../shared/log/log.js";
import { kernelsVersion, packageVersion, protocolVersion } from "../../shared/rpc/version.js";
import { beat } from "./beats.js";
import { JobStore } from "./jobs.js";
import type { LeadJob } from "./lead.js";
import { Leading } from "./leading.js";
import { Lease } from "./lease.js";
import { defaultTtlMs, type SeenLease, seenLease } from "./lease-state.js";
import { OpenJobs } from "./open-jobs.js";
import { Registry } from "./registry.js";
import { tidy } from "./tidy.js";

export type { Lead, LeadFields, LeadJob, LeadResult, LeadState } from "./lead.js";

/** Jobs that are looked at together. */
const maxLooks = 32;
/** Pause before somebody else is offered what we have no room for. */
const passOnMs = 100;
/** How long a job that cannot be led here is left to others. */
const declineMs = 60_000;

export interface CoordinatorOptions {
  /** Unique in the cluster. */
  readonly name: string;
  /** Made up at every start. */
  readonly instance: string;
  readonly clock: Clock;
  readonly lead: LeadJob;
  /** @default 2 */
  readonly maxJobs?: number;
  /** @default 1,000 */
  readonly beatMs?: number;
  /** How long a leader may be silent before another takes its job over. @default 5,000 */
  readonly leaseTtlMs?: number;
  /** Spreads what several coordinators would do at the same moment. @default Math.random */
  readonly random?: () => number;
  /** For people: never compared. @default the system's */
  readonly date?: () => Date;
  readonly log: Log;
  /** Hears what the cluster is told of the jobs led here. */
  readonly onEvent?: ((event: ClusterEvent) => void) | undefined;
  /** A lease is taken from a coordinator that fell silent. */
  readonly onLeaseExpired?: (() => void) | undefined;
}

/** Nobody need listen. */
type Listeners = "onEvent" | "onLeaseExpired";

type Complete = Required<Omit<CoordinatorOptions, Listeners>> & Pick<CoordinatorOptions, Listeners>;

/**
 * A coordinator among others: takes jobs from the queue, leads each under a lease, stands by for those that others lead,
 * and takes over what lost its leader.
 */
export class CoordinatorService {
  readonly #bus: Bus;
  readonly #options: Complete;
  readonly #jobs: JobStore;
  readonly #open = new OpenJobs();
  readonly #host = hostname();
  /** Read from a file, and so only once. */
  readonly #version = packageVersion();
  readonly #leads = new Map<string, { readonly leading: Leading; readonly ended: Promise<void> }>();
  /** Jobs whose lease we look at, or take, right now. */
  readonly #looking = new Set<string>();
  /** Leases that are being taken: room that is as good as full. */
  #taking = 0;
  /** Aborted when a lead ends, and when we leave. */
  #room = new AbortController();

  constructor(bus: Bus, options: CoordinatorOptions) {
    this.#bus = bus;
    this.#jobs = new JobStore(bus, options.clock);
    this.#options = {
      maxJobs: 2,
      beatMs: defaultBeatMs,
      leaseTtlMs: defaultTtlMs,
      random: Math.random,
      date: () => new Date(),
      ...options,
    };
  }

  /** The ids of the jobs that it leads. */
  get leading(): readonly string[] {
    return [...this.#leads.keys()];
  }

  /**
   * Takes part until the signal; then gives its jobs into other hands and leaves. Fails with `bus_failed` when the engine
   * does not answer at the beginning, and with `usage` when another coordinator is alive under its name; later the
   * engine's absence is waited out, from `onJoined` on.
   */
  async run(signal: AbortSignal, onJoined: () => void = () => undefined): Promise<void> {
    const { clock, name, beatMs, date } = this.#options;
    const startedAt = date().toISOString();
    const leaving = new AbortController();
    const leave = (): void => {
      leaving.abort();
      this.#room.abort();
    };
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    const gone = new AbortController();
    if (leaving.signal.aborted) return;
    try {
      await claimName(this.#bus.nodes, { ...this.#describe(startedAt, false), beat: 0 }, clock, leaving.signal);
    } catch (error) {
      if (error === leaving.signal.reason) return;
      throw error;
    }
    await using registry = await Registry.watch(this.#bus, clock, { self: { name, beatMs } });
    await using _watch = await this.#bus.state.watch("jobs.", (change) => {
      const id = this.#open.hear(change, clock.now());
      if (id !== undefined) this.#leads.get(id)?.leading.nudge();
    });
    onJoined();
    const beating = beat(this.#bus, clock, () => this.#describe(startedAt, leaving.signal.aborted), gone.signal);
    try {
      await Promise.all([
        this.#takeJobs(registry, leaving.signal),
        this.#standBy(registry, leaving.signal),
        tidy(this.#bus, this.#options, leaving.signal),
      ]);
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
      await this.#handOver();
      gone.abort();
      await beating;
    }
  }

  async #handOver(): Promise<void> {
    const leads = [...this.#leads.values()];
    for (const { leading } of leads) leading.shutDown();
    await Promise.all(leads.map(({ ended }) => ended));
  }

  get #hasRoom(): boolean {
    return this.#leads.size + this.#taking < this.#options.maxJobs;
  }

  /** Takes what the queue gives, one at a time, while there is room. */
  async #takeJobs(registry: Registry, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      // Full for a moment only, while a lease is being taken, or until a lead ends.
      if (!this.#hasRoom) {
        await sleep(clock, ackWaitMs, this.#room.signal);
        continue;
      }
      const delivery = await this.#bus.jobs.take(signal);
      if (signal.aborted) delivery?.later(0);
      else if (delivery !== undefined) await this.#consider(delivery.body, registry, delivery);
    }
  }

  /** Looks for jobs that nobody leads, though the queue does not say so: their leader, or their message, was lost. */
  async #standBy(registry: Registry, signal: AbortSignal): Promise<void> {
    const { clock, leaseTtlMs, random } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, (leaseTtlMs / 5) * (0.75 + 0.5 * random()), signal);
      if (signal.aborted || !this.#bus.isConnected) continue;
      const due = this.#open.due(clock.now(), this.#hasRoom).filter((id) => !this.#leads.has(id));
      await Promise.all(due.slice(0, maxLooks).map((id) => this.#consider(id, registry)));
    }
  }

  /** Never fails. */
  async #consider(id: string, registry: Registry, delivery?: Delivery): Promise<void> {
    const led = this.#leads.get(id);
    if (led !== undefined) return void (delivery && led.leading.attach(delivery));
    if (this.#looking.has(id)) return delivery?.later(passOnMs);
    this.#looking.add(id);
    try {
      await this.#look(id, registry, delivery);
    } catch (error) {
      const reason = AmalgamError.from(error);
      if (reason.code !== "bus_failed") this.#options.log.error(reason.message, { job: id, code: reason.code });
      delivery?.later(this.#options.leaseTtlMs / 5);
    } finally {
      this.#looking.delete(id);
    }
  }

  async #look(id: string, registry: Registry, delivery: Delivery | undefined): Promise<void> {
    const { clock, leaseTtlMs } = this.#options;
    const record = await this.#jobs.get(id);
    if (record === undefined || isOver(record.state)) {
      this.#open.forget(id);
      await delivery?.done();
      return;
    }
    this.#open.note(record, clock.now());
    if (!record.cancel && this.#open.isDeclined(id, clock.now())) return delivery?.later(leaseTtlMs / 5);
    const askedMs = clock.now();
    const seen = seenLease(await this.#bus.state.get(keys.lease(id)));
    const watch = this.#open.watchOf(id);
    const isOwn = seen?.record.instance === this.#options.instance;
    if (watch.look(seen, askedMs, record.starts > 0) === "held" && !isOwn) {
      this.#open.defer(id, clock.now());
      return delivery?.later(leaseTtlMs);
    }
    if (!record.cancel && !this.#hasRoom) return delivery?.later(passOnMs);
    this.#taking += 1;
    try {
      await this.#take(record, seen, watch.nextEpoch, registry, delivery);
    } finally {
      this.#taking -= 1;
      this.#makeRoom();
    }
  }

  async #take(
    record: JobRecord,
    seen: SeenLease | undefined,
    epoch: number,
    registry: Registry,
    delivery: Delivery | undefined,
  ): Promise<void> {
    const { name: holder, instance, clock, leaseTtlMs: ttlMs, onLeaseExpired } = this.#options;
    const lease = await Lease.tryTake(this.#bus.state, record.id, { holder, instance, clock, ttlMs }, seen, epoch);
    if (lease === undefined) return delivery?.later(ttlMs);
    // One that was given up names no instance.
    if (seen !== undefined && !["", instance].includes(seen.record.instance)) onLeaseExpired?.();
    const leading = new Leading({ ...this.#options, bus: this.#bus, registry }, lease, record);
    if (delivery !== undefined) leading.attach(delivery);
    const ended = leading.run().finally(() => {
      this.#leads.delete(record.id);
      if (leading.isElsewhere) this.#open.decline(record.id, clock.now() + declineMs);
      else this.#open.defer(record.id, clock.now() + ttlMs);
      this.#makeRoom();
    });
    this.#leads.set(record.id, { leading, ended });
  }

  /** There may be room: look again. */
  #makeRoom(): void {
    this.#room.abort();
    this.#room = new AbortController();
  }

  #describe(startedAt: string, isLeaving: boolean): Omit<NodeRecord, "beat"> {
    const { name, instance, maxJobs, beatMs } = this.#options;
    return {
      name,
      instance,
      role: "coordinator",
      host: this.#host,
      pid: process.pid,
      version: this.#version,
      protocol: protocolVersion,
      kernels: kernelsVersion,
      state: isLeaving ? "draining" : "ready",
      slots: maxJobs,
      memoryBytes: 0,
      roots: [],
      running: this.#leads.size,
      beatMs,
      startedAt,
    };
  }
}
