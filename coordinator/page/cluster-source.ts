import type { Bus, Change } from "../../shared/bus/bus.js";
import { type Clock, systemClock, type Timer } from "../../shared/clock.js";
import {
  clusterEvent,
  isOver,
  type JobRecord,
  jobRecord,
  type NodeRecord,
  nodeRecord,
  type ProgressRecord,
  parseRecord,
  progressRecord,
} from "../../shared/cluster/records.js";
import { unitsRecord } from "../../shared/cluster/units-record.js";
import { JobStore } from "../cluster/jobs.js";
import { type LiveNode, Liveness } from "../cluster/liveness.js";
import { Board, limits } from "./board.js";
import { ClusterActions } from "./cluster-actions.js";
import { readEvents } from "./events-of-job.js";
import type { PageActions, PageSource } from "./source.js";
import type { JobDetails, ServerView } from "./types.js";
import { eventView, jobDetails, jobView, nodeView } from "./views.js";

const lookMs = 1_000;
/** Jobs of which anything is kept here. */
const maxJobsKnown = 10_000;
/** Events that are read when it begins, those that are too small to show among them. */
const firstEvents = 5_000;

export interface ClusterSourceOptions {
  /** Of the coordinator that serves the page. */
  readonly name: string;
  readonly version: string;
  readonly hasSweeps: boolean;
  readonly canAct: boolean;
  readonly clock?: Clock;
}

/** What a cluster's bus tells, kept on a board. The engine's absence is waited out: the board says so, and stays as it is. */
export class ClusterSource implements PageSource {
  readonly board = new Board();
  readonly actions: PageActions;
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #options: ClusterSourceOptions;
  readonly #liveness: Liveness;
  /** By key. */
  readonly #jobs = new Map<string, JobRecord>();
  readonly #progress = new Map<string, ProgressRecord>();
  readonly #nodes = new Map<string, NodeRecord>();
  readonly #over = new AbortController();
  readonly #watches: AsyncDisposable[] = [];
  #alive: readonly LiveNode[] = [];
  #names: ReadonlySet<string> = new Set();
  #events = 0;
  #following: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #unlisten: (() => void) | undefined;
  /** There are more jobs than are shown. */
  #isCrowded = false;

  private constructor(bus: Bus, options: ClusterSourceOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#liveness = new Liveness(this.#clock.now(), 2 * lookMs);
    this.actions = new ClusterActions(bus, (name) => this.#nodeCalled(name));
  }

  /** Fails with `bus_failed` when the engine does not answer. */
  static async watch(bus: Bus, options: ClusterSourceOptions): Promise<ClusterSource> {
    const source = new ClusterSource(bus, options);
    try {
      await source.#begin();
      return source;
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
  }

  async job(id: string): Promise<JobDetails | undefined> {
    const record = await new JobStore(this.#bus, this.#clock).get(id);
    if (record === undefined) return undefined;
    const events = await readEvents(this.#bus, id, this.#over.signal);
    return jobDetails(record, this.#viewOf(record), this.board.get("units", id), events);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    this.#timer?.clear();
    this.#unlisten?.();
    await Promise.all(this.#watches.map((watch) => watch[Symbol.asyncDispose]()));
    await this.#following;
  }

  async #begin(): Promise<void> {
    const { nodes, state } = this.#bus;
    this.#tellServer();
    this.#unlisten = this.#bus.onConnection(() => this.#tellServer());
    this.#watches.push(await nodes.watch("nodes.", (change) => this.#hearNode(change)));
    this.#watches.push(await state.watch("jobs.", (change) => this.#hearJob(change)));
    this.#watches.push(await nodes.watch("progress.", (change) => this.#hearProgress(change)));
    this.#watches.push(await nodes.watch("units.", (change) => this.#hearUnits(change)));
    this.#following = this.#follow();
    this.#look();
  }

  #tellServer(): void {
    const { name, version, hasSweeps, canAct } = this.#options;
    const view: ServerView = {
      ...{ name, version, hasSweeps, canAct, isConnected: this.#bus.isConnected },
      jobsLeftOut: Math.max(0, this.#jobs.size - limits.jobs),
      nodesLeftOut: Math.max(0, this.#nodes.size - limits.nodes),
    };
    this.board.set("server", "this", view);
  }

  #hearJob({ key, value }: Change): void {
    const record = parseRecord(jobRecord, value);
    if (record === undefined) {
      const before = this.#jobs.get(key);
      this.#jobs.delete(key);
      if (before !== undefined) this.#forgetJob(before.id);
      return;
    }
    // Recipes may be long, and are read again when somebody looks at one.
    const { recipe, ...request } = record.request;
    const short = { ...record, request: { ...request, recipe: { ...recipe, text: "" } } };
    this.#jobs.set(key, short);
    const isShown = this.board.get("jobs", record.id) !== undefined;
    if (isShown || this.#jobs.size <= limits.jobs) this.#showJob(short);
    else this.#isCrowded = true;
  }

  #forgetJob(id: string): void {
    this.board.delete("jobs", id);
    this.board.delete("units", id);
  }

  #showJob(record: JobRecord): void {
    this.board.set("jobs", record.id, this.#viewOf(record));
  }

  /** Jobs that are not over stay, and of the others the latest. */
  #chooseJobs(): void {
    this.#isCrowded = false;
    const order = [...this.#jobs.entries()].sort(([, a], [, b]) => {
      return Number(isOver(a.state)) - Number(isOver(b.state)) || (a.submittedAt < b.submittedAt ? 1 : -1);
    });
    for (const [, record] of order.slice(limits.jobs)) this.#forgetJob(record.id);
    for (const [, record] of order.slice(0, limits.jobs)) this.#showJob(record);
    for (const [key] of order.slice(maxJobsKnown)) this.#jobs.delete(key);
    this.#tellServer();
  }

  #viewOf(record: JobRecord) {
    return jobView(record, this.#progress.get(record.id), this.#bus.isConnected ? this.#alive : undefined);
  }

  #hearProgress({ key, value }: Change): void {
    const progress = parseRecord(progressRecord, value);
    const record = this.#jobs.get(key.replace("progress.", "jobs."));
    // It may come before its job does.
    const id = record?.id ?? key.slice("progress.".length);
    if (progress === undefined) this.#progress.delete(id);
    else if (this.#progress.has(id) || this.#progress.size < 2 * limits.jobs) this.#progress.set(id, progress);
    if (record !== undefined && this.board.get("jobs", id) !== undefined) this.#showJob(record);
  }

  #hearUnits({ key, value }: Change): void {
    const units = parseRecord(unitsRecord, value);
    const id = this.#jobs.get(key.replace("units.", "jobs."))?.id ?? key.slice("units.".length);
    if (units === undefined) {
      this.board.delete("units", id);
      return;
    }
    if (this.board.get("units", id) === undefined) {
      const shown = this.board.keys("units");
      // Those of jobs that are over go first, and of these what changed longest ago.
      const isDone = (one: string): boolean => isOver(this.board.get("jobs", one)?.state ?? "done");
      if (shown.length >= limits.units) this.board.delete("units", shown.find(isDone) ?? shown[0] ?? "");
    }
    this.board.set("units", id, units);
  }

  #hearNode({ key, value }: Change): void {
    const record = parseRecord(nodeRecord, value);
    if (record === undefined) {
      const before = this.#nodes.get(key);
      this.#nodes.delete(key);
      if (before === undefined) return;
      this.board.delete("nodes", before.name);
      if (this.#liveness.forget(before.name)) this.#livesChanged();
      return;
    }
    if (!this.#nodes.has(key) && this.#nodes.size >= 10 * limits.nodes) return;
    this.#nodes.set(key, record);
    if (this.#liveness.hear(record)) this.#livesChanged();
    else this.#showNode(record);
  }

  #showNode(record: NodeRecord): void {
    const isKnown = this.board.get("nodes", record.name) !== undefined;
    if (!isKnown && this.board.keys("nodes").length >= limits.nodes) return;
    this.board.set("nodes", record.name, nodeView(record, this.#lifeOf(record)));
  }

  #lifeOf({ name }: NodeRecord): "live" | "silent" | "unknown" {
    if (this.#names.has(name)) return "live";
    return this.#liveness.knows(name) ? "unknown" : "silent";
  }

  #look(): void {
    this.#timer = this.#clock.after(lookMs, () => this.#look());
    const gone = this.#liveness.look(this.#clock.now(), this.#bus.isConnected);
    if (gone.length > 0) this.#livesChanged();
    // What is left of a node that was gone before we came is found out about without a word.
    for (const record of this.#nodes.values()) {
      if (this.board.get("nodes", record.name)?.state === "unknown") this.#showNode(record);
    }
    if (this.#isCrowded) this.#chooseJobs();
  }

  #livesChanged(): void {
    this.#alive = this.#liveness.alive;
    this.#names = new Set(this.#alive.map(({ record }) => record.name));
    for (const record of this.#nodes.values()) this.#showNode(record);
    for (const record of this.#jobs.values()) {
      if (!isOver(record.state) && this.board.get("jobs", record.id) !== undefined) this.#showJob(record);
    }
    this.#tellServer();
  }

  #nodeCalled(name: string): NodeRecord | undefined {
    return [...this.#nodes.values()].find((node) => node.name === name);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#over;
    for await (const { body } of this.#bus.events.read({ follow: true, last: firstEvents, signal })) this.#hear(body);
  }

  #hear(body: string): void {
    // Thousands of these come in a second, and none of them is shown.
    if (body.includes('"level":"debug"')) return;
    const event = parseRecord(clusterEvent, body);
    if (event === undefined || event.level === "debug") return;
    this.#events += 1;
    this.board.set("events", String(this.#events), eventView(event, this.#events));
    this.board.delete("events", String(this.#events - limits.events));
  }
}
