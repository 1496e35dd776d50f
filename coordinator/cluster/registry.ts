import type { Bus, Change } from "../../shared/bus/bus.js";
import type { Clock, Timer } from "../../shared/clock.js";
import { keys, nodeRecord, parseRecord } from "../../shared/cluster/records.js";
import { type LiveNode, Liveness } from "./liveness.js";

export type { LiveNode } from "./liveness.js";

/** How often a registry looks for nodes that fell silent. */
const lookMs = 1_000;
/** Silence of the reader's own beats, in beats, after which it is the engine that is silent. */
const deafBeats = 2.5;
/** More nodes than a cluster has: further ones are not kept. */
const maxNodes = 10_000;

export interface RegistryOptions {
  /**
   * A node of this very process and how often it beats. While its own beats do not come back, nobody else's can come
   * either, and nobody is declared gone: a connection may be dead long before that is noticed.
   */
  readonly self?: { readonly name: string; readonly beatMs: number };
}

/** The nodes of the cluster that are alive now, by the reader's own clock. */
export class Registry implements AsyncDisposable {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #self: RegistryOptions["self"];
  readonly #liveness: Liveness;
  readonly #listeners = new Set<(nodes: readonly LiveNode[]) => void>();
  /** By key, for a deletion tells the key only. */
  readonly #names = new Map<string, string>();
  #list: readonly LiveNode[] = [];
  #selfHeardMs: number;
  #timer: Timer | undefined;
  #watch: AsyncDisposable | undefined;
  #unlisten: (() => void) | undefined;

  private constructor(bus: Bus, clock: Clock, options: RegistryOptions) {
    this.#bus = bus;
    this.#clock = clock;
    this.#self = options.self;
    this.#selfHeardMs = clock.now();
    this.#liveness = new Liveness(clock.now(), 2 * lookMs);
  }

  /** Fails with `bus_failed` when the engine does not answer. From then on its absence is waited out. */
  static async watch(bus: Bus, clock: Clock, options: RegistryOptions = {}): Promise<Registry> {
    const registry = new Registry(bus, clock, options);
    registry.#watch = await bus.nodes.watch("nodes.", (change) => registry.#hear(change));
    registry.#unlisten = bus.onConnection(() => registry.#look());
    registry.#schedule();
    return registry;
  }

  /** Agents and coordinators, sorted by name. Another array whenever a node comes, goes or changes more than its beat. */
  get list(): readonly LiveNode[] {
    return this.#list;
  }

  /** Returns what ends that. */
  onChange(listener: (nodes: readonly LiveNode[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.clear();
    this.#unlisten?.();
    this.#listeners.clear();
    await this.#watch?.[Symbol.asyncDispose]();
  }

  #hear({ key, value }: Change): void {
    if (value === undefined) {
      const name = this.#names.get(key);
      this.#names.delete(key);
      if (name !== undefined && this.#liveness.forget(name)) this.#tell();
      return;
    }
    const record = parseRecord(nodeRecord, value);
    // Whoever may write a record may write it anywhere: only at its own place does it speak for a node.
    if (record === undefined || key !== keys.node(record.name)) return;
    if (!this.#names.has(key) && this.#names.size >= maxNodes) return;
    if (record.name === this.#self?.name) this.#selfHeardMs = this.#clock.now();
    this.#names.set(key, record.name);
    if (this.#liveness.hear(record)) this.#tell();
  }

  #schedule(): void {
    this.#timer = this.#clock.after(lookMs, () => {
      this.#look();
      this.#schedule();
    });
  }

  #look(): void {
    if (this.#liveness.look(this.#clock.now(), this.#isHearing()).length > 0) this.#tell();
  }

  #isHearing(): boolean {
    if (!this.#bus.isConnected) return false;
    return this.#self === undefined || this.#clock.now() - this.#selfHeardMs < deafBeats * this.#self.beatMs;
  }

  #tell(): void {
    this.#list = this.#liveness.alive;
    for (const listener of this.#listeners) listener(this.#list);
  }
}
