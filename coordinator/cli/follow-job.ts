import { type Bus, wordOf } from "../../shared/bus/bus.js";
import { type Clock, systemClock, type Timer } from "../../shared/clock.js";
import {
  type ClusterEvent,
  clusterEvent,
  defaultBeatMs,
  isOver,
  type JobRecord,
  jobRecord,
  keys,
  type ProgressRecord,
  parseRecord,
  progressRecord,
  staleBeats,
} from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { unlessAborted } from "../../shared/unless-aborted.js";
import { Registry } from "../cluster/registry.js";
import { type Neglect, neglectOf } from "./neglect.js";

/** What one hears who follows a job. */
export type JobNews =
  /** `before`: undefined the first time. */
  | { readonly type: "changed"; readonly record: JobRecord; readonly before: JobRecord | undefined }
  | { readonly type: "progress"; readonly progress: ProgressRecord }
  /** Everything that was told of the job before comes first. */
  | { readonly type: "told"; readonly event: ClusterEvent }
  /** Nobody has worked on it for as long as a node may be silent. Told once each time. */
  | ({ readonly type: "neglected" } & Neglect)
  | { readonly type: "connection"; readonly isConnected: boolean };

export interface FollowOptions {
  readonly signal: AbortSignal;
  readonly onNews: (news: JobNews) => void;
  /** Ends it before the job does. Not asked about what is told. */
  readonly isEnough?: ((news: JobNews) => boolean) | undefined;
  readonly clock?: Clock | undefined;
}

const patienceMs = staleBeats * defaultBeatMs;
const lookMs = 500;

/**
 * Follows a job to its end, through changes of leader and absences of NATS. Resolves with the last record when the job
 * is over; rejects with the signal's reason, or with `bus_failed` when NATS cannot be reached at first, or lost the record
 * of a job that nobody leads.
 */
export function followJob(bus: Bus, id: string, options: FollowOptions): Promise<JobRecord> {
  // NATS may be away from the beginning, and whoever interrupts need not wait for it.
  return unlessAborted(options.signal, follow(bus, id, options));
}

async function follow(bus: Bus, id: string, options: FollowOptions): Promise<JobRecord> {
  const clock = options.clock ?? systemClock;
  await using registry = await Registry.watch(bus, clock);
  return await new Follower(bus, id, registry, clock, options).run();
}

class Follower {
  readonly #bus: Bus;
  readonly #id: string;
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #options: FollowOptions;
  readonly #stopped = new AbortController();
  #record: JobRecord | undefined;
  /** Of the leader since it began to lead, as soon as that is known. */
  #instance: string | undefined;
  #failure: unknown;
  /** The last event told, by the engine's count. */
  #sequence = 0;
  /** Since when nobody works on it. */
  #neglectedMs: number | undefined;
  #toldNeglect: string | undefined;
  #timer: Timer | undefined;

  constructor(bus: Bus, id: string, registry: Registry, clock: Clock, options: FollowOptions) {
    this.#bus = bus;
    this.#id = id;
    this.#registry = registry;
    this.#clock = clock;
    this.#options = options;
  }

  async run(): Promise<JobRecord> {
    const { signal } = this.#options;
    const abort = (): void => this.#fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const unlisten = this.#bus.onConnection((isConnected) => {
      this.#neglectedMs = undefined;
      this.#tell({ type: "connection", isConnected });
    });
    try {
      if (signal.aborted) abort();
      await using _records = await this.#watch("state", keys.job(this.#id), (text) => this.#changed(text));
      await using _progress = await this.#watch("nodes", keys.progress(this.#id), (text) => {
        const progress = parseRecord(progressRecord, text);
        if (progress !== undefined) this.#tell({ type: "progress", progress });
      });
      this.#look();
      await this.#tellEvents(true, this.#stopped.signal);
    } finally {
      this.#timer?.clear();
      unlisten();
      signal.removeEventListener("abort", abort);
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#record === undefined) throw new TypeError("A job that was never seen came to its end");
    // What was told just before the end may be on its way yet. To miss it is no failure.
    await this.#tellEvents(false, signal).catch(() => {});
    return this.#record;
  }

  #watch(bucket: "state" | "nodes", key: string, heard: (text: string | undefined) => void): Promise<AsyncDisposable> {
    const prefix = key.slice(0, key.indexOf(".") + 1);
    return this.#bus[bucket].watch(prefix, (change) => {
      if (change.key === key && !this.#stopped.signal.aborted) heard(change.value);
    });
  }

  async #tellEvents(follow: boolean, signal: AbortSignal): Promise<void> {
    for await (const { body, sequence } of this.#bus.events.read({ topic: wordOf(this.#id), follow, signal })) {
      if (!follow && sequence <= this.#sequence) continue;
      this.#sequence = sequence;
      const event = parseRecord(clusterEvent, body);
      if (event !== undefined) this.#options.onNews({ type: "told", event });
    }
  }

  #changed(text: string | undefined): void {
    const record = parseRecord(jobRecord, text);
    if (record === undefined) return;
    const before = this.#record;
    if (JSON.stringify(before) === JSON.stringify(record)) return;
    this.#record = record;
    if (before?.leader !== record.leader || before?.starts !== record.starts) this.#instance = undefined;
    this.#tell({ type: "changed", record, before });
    if (isOver(record.state)) this.#stopped.abort();
  }

  /** Looks again and again whether somebody works on it. */
  #look(): void {
    this.#timer = this.#clock.after(lookMs, () => this.#look());
    if (!this.#bus.isConnected) return;
    const now = this.#clock.now();
    const leader = this.#registry.list.find((node) => node.record.name === this.#record?.leader);
    this.#instance ??= leader?.record.instance;
    const neglect = this.#record && neglectOf(this.#record, this.#registry.list, this.#instance);
    if (this.#record !== undefined && neglect === undefined) {
      this.#neglectedMs = undefined;
      this.#toldNeglect = undefined;
      return;
    }
    this.#neglectedMs ??= now;
    if (now - this.#neglectedMs < patienceMs) return;
    void this.#checkRecord();
    if (neglect === undefined || this.#toldNeglect === neglect.reason) return;
    this.#toldNeglect = neglect.reason;
    this.#tell({ type: "neglected", ...neglect });
  }

  /** A leader puts back what NATS lost. Without one, nobody does. */
  async #checkRecord(): Promise<void> {
    const entry = await this.#bus.state.get(keys.job(this.#id)).catch(() => "unknown" as const);
    if (entry !== undefined) return;
    const remedy = "submit it again, and it goes on where it was";
    this.#fail(new AmalgamError("bus_failed", `NATS lost job ${quote(this.#id)} while nobody led it: ${remedy}`));
  }

  #tell(news: JobNews): void {
    if (this.#stopped.signal.aborted) return;
    this.#options.onNews(news);
    if (this.#options.isEnough?.(news)) this.#stopped.abort();
  }

  #fail(reason: unknown): void {
    if (this.#stopped.signal.aborted) return;
    this.#failure = reason;
    this.#stopped.abort();
  }
}
