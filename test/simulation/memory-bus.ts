import { ackWaitMs, type Bus, type ServerFacts } from "../../shared/bus/bus.js";
import { emptyKeys, type KeysSnapshot, MemoryBucket, MemoryKeys } from "./memory-bucket.js";
import { MemoryEvents, MemoryFeed } from "./memory-feed.js";
import { type Fate, type LinkedEngine, MemoryLink, type Operation } from "./memory-link.js";
import { MemoryMessages, MemoryQueue, type MessageSnapshot } from "./memory-queue.js";
import { ProcessClock, type VirtualClock } from "./virtual-clock.js";

export type { Fate, Operation } from "./memory-link.js";

export interface MemoryEngineOptions {
  /** Asked before every operation what becomes of it. Default: all is well. */
  readonly before?: ((operation: Operation) => Fate) | undefined;
  /** How long a client waits for an answer. Default 2,000. */
  readonly timeoutMs?: number;
  /** How long a taker may be silent. Default: as the real one. */
  readonly ackWaitMs?: number;
}

/** What the engine has on its disk. */
export interface EngineSnapshot {
  readonly state: KeysSnapshot;
  readonly jobs: readonly MessageSnapshot[];
}

/** An engine without a network: what JetStream does for us, on a virtual clock, with every fault on request. */
export class MemoryEngine implements LinkedEngine {
  readonly clock: VirtualClock;
  readonly timeoutMs: number;
  readonly state = new MemoryKeys();
  readonly nodes = new MemoryKeys();
  readonly jobs: MemoryMessages;
  readonly events = new MemoryEvents();
  readonly #links: MemoryLink[] = [];
  #isUp = true;
  /** May be changed at any time. */
  before: ((operation: Operation) => Fate) | undefined;

  constructor(clock: VirtualClock, options: MemoryEngineOptions = {}) {
    this.clock = clock;
    this.timeoutMs = options.timeoutMs ?? 2_000;
    this.jobs = new MemoryMessages(clock, options.ackWaitMs ?? ackWaitMs);
    this.before = options.before;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  fateOf(operation: Operation): Fate {
    return this.before?.(operation) ?? "ok";
  }

  /** The engine as one process reaches it; with the process's own clock, it is stopped and thawed with that. */
  client(name: string, clock: ProcessClock = new ProcessClock(this.clock)): MemoryBus {
    const link = new MemoryLink(this, name, clock);
    this.#links.push(link);
    return new MemoryBus(this, link);
  }

  /** Nobody reaches it. What it holds in memory only is lost. */
  stop(): void {
    this.#isUp = false;
    this.nodes.replace(emptyKeys);
    for (const link of this.#links) link.tell();
  }

  start(): void {
    this.#isUp = true;
    for (const link of this.#links) link.tell();
  }

  snapshot(): EngineSnapshot {
    return { state: this.state.copy(), jobs: this.jobs.copy() };
  }

  /** As after a restart with an older copy of the data. */
  restore(snapshot: EngineSnapshot): void {
    this.state.replace(snapshot.state);
    this.nodes.replace(emptyKeys);
    this.jobs.replace(snapshot.jobs);
  }

  /** As after a restart with an empty directory. */
  wipe(): void {
    this.restore({ state: emptyKeys, jobs: [] });
    this.events.entries = [];
  }
}

export class MemoryBus implements Bus {
  readonly server: ServerFacts = { name: "memory", version: "0.0.0", maxPayload: 1 << 20 };
  readonly state: MemoryBucket;
  readonly nodes: MemoryBucket;
  readonly jobs: MemoryQueue;
  readonly events: MemoryFeed;
  readonly #link: MemoryLink;

  constructor(engine: MemoryEngine, link: MemoryLink) {
    this.#link = link;
    this.state = new MemoryBucket(engine.state, link, "state");
    this.nodes = new MemoryBucket(engine.nodes, link, "nodes");
    this.jobs = new MemoryQueue(engine.jobs, link);
    this.events = new MemoryFeed(engine.events, link);
  }

  get isConnected(): boolean {
    return this.#link.isConnected;
  }

  /** Cuts this client off from the engine, or joins it again. */
  set isPartitioned(value: boolean) {
    this.#link.isPartitioned = value;
  }

  onConnection(listener: (isConnected: boolean) => void): () => void {
    return this.#link.onConnection(listener);
  }

  async restore(): Promise<void> {
    // Nothing to create: what is empty is there.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#link.close();
  }
}
