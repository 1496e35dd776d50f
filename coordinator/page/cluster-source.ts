import type { Bus } from "../../shared/bus/bus.js";
import { type Clock, systemClock, type Timer } from "../../shared/clock.js";
import { clusterEvent, parseRecord } from "../../shared/cluster/records.js";
import { JobStore } from "../cluster/jobs.js";
import { Board, limits } from "./board.js";
import { ClusterActions } from "./cluster-actions.js";
import { EventsOfJobs } from "./events-of-job.js";
import { KnownJobs } from "./known-jobs.js";
import { KnownNodes } from "./known-nodes.js";
import type { PageActions, PageSource } from "./source.js";
import type { JobDetails, ServerView } from "./types.js";
import { eventView, jobDetails } from "./views.js";

const lookMs = 1_000;
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
  readonly #nodes: KnownNodes;
  readonly #jobs: KnownJobs;
  readonly #eventsOfJobs: EventsOfJobs;
  readonly #over = new AbortController();
  readonly #watches: AsyncDisposable[] = [];
  #events = 0;
  #following: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #unlisten: (() => void) | undefined;

  private constructor(bus: Bus, options: ClusterSourceOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#nodes = new KnownNodes(this.board, this.#clock.now(), lookMs);
    this.#jobs = new KnownJobs(this.board, () => (bus.isConnected ? this.#nodes.alive : undefined));
    this.#eventsOfJobs = new EventsOfJobs(bus, this.#over.signal);
    this.actions = new ClusterActions(bus, this.#nodes);
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
    const events = await this.#eventsOfJobs.read(id);
    return jobDetails(record, this.#jobs.viewOf(record), this.board.get("units", id), events);
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
    this.#watches.push(await nodes.watch("nodes.", (change) => this.#nodes.hear(change)));
    // Jobs before what is told of them.
    this.#watches.push(await state.watch("jobs.", (change) => this.#jobs.hear(change)));
    this.#watches.push(await nodes.watch("progress.", (change) => this.#jobs.hearProgress(change)));
    this.#watches.push(await nodes.watch("units.", (change) => this.#jobs.hearUnits(change)));
    this.#following = this.#follow();
    this.#look();
  }

  #tellServer(): void {
    const { name, version, hasSweeps, canAct } = this.#options;
    const view: ServerView = {
      ...{ name, version, hasSweeps, canAct, isConnected: this.#bus.isConnected },
      ...{ jobsLeftOut: this.#jobs.leftOut, nodesLeftOut: this.#nodes.leftOut },
    };
    this.board.set("server", "this", view);
  }

  /** What follows from changes for others than what changed is worked out here, once a second however many there are. */
  #look(): void {
    this.#timer = this.#clock.after(lookMs, () => this.#look());
    if (this.#nodes.look(this.#clock.now(), this.#bus.isConnected)) this.#jobs.livesChanged();
    this.#jobs.look();
    this.#tellServer();
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
