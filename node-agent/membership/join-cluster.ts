import { type Bus, wordOf } from "../../shared/bus/bus.js";
import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import { claimName } from "../../shared/cluster/claim-name.js";
import {
  type ClusterEvent,
  defaultBeatMs,
  keys,
  type NodeRecord,
  nodeRecord,
  type OrderRecord,
  orderRecord,
  parseRecord,
} from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { beginWatch } from "./begin-watch.js";

/** What an agent says of itself that does not change while it runs. */
export type NodeDescription = Omit<NodeRecord, "state" | "running" | "beat" | "beatMs">;

export interface JoinOptions {
  /** Units that run, asked at every beat. */
  readonly running: () => number;
  /** Somebody has ordered this instance to drain. Called once at most. */
  readonly onDrain: (order: OrderRecord) => void;
  /** Another instance has the name by now, as after this process was frozen. Called once at most; beats have ended. */
  readonly onReplaced: (error: AmalgamError) => void;
  /** Hears what the cluster is told of the agent. */
  readonly onReport?: ((event: Happening) => void) | undefined;
  /** Aborted: do not join after all. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** @default one second */
  readonly beatMs?: number;
}

/** Being known to the cluster. Disposing of it takes the agent off the register. */
export interface Membership extends AsyncDisposable {
  /** NATS is reached right now. */
  readonly isConnected: boolean;
  /** Tells the cluster to send no more units; resolves when it has been told, or cannot be. */
  drain(): Promise<void>;
  /** Tells the cluster what happened here. Never fails. */
  report(event: Happening): void;
}

export type Happening = Pick<ClusterEvent, "level" | "type" | "message" | "job" | "fields">;

/**
 * Puts the agent on the cluster's register and keeps it there with a beat every `beatMs`, as far as the bus lets it: while
 * the engine is away the agent serves on, and is there again with the next beat that comes through. Fails with `usage` when
 * another instance that is alive has the name, which takes a few beats to find out, and with `bus_failed`.
 */
export async function joinCluster(bus: Bus, description: NodeDescription, options: JoinOptions): Promise<Membership> {
  const member = new Member(bus, description, options);
  try {
    await member.join();
  } catch (error) {
    await member[Symbol.asyncDispose]();
    throw error;
  }
  return member;
}

class Member implements Membership {
  readonly #bus: Bus;
  readonly #description: NodeDescription;
  readonly #options: JoinOptions;
  readonly #clock: Clock;
  readonly #beatMs: number;
  readonly #left = new AbortController();
  #beat = 0;
  #state: NodeRecord["state"] = "ready";
  #revision = 0;
  #hasJoined = false;
  /** Beats go out one after another. */
  #telling: Promise<void> = Promise.resolve();
  #beating: Promise<void> = Promise.resolve();
  #orders: AsyncDisposable | undefined;
  #order: OrderRecord | undefined;

  constructor(bus: Bus, description: NodeDescription, options: JoinOptions) {
    this.#bus = bus;
    this.#description = description;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#beatMs = options.beatMs ?? defaultBeatMs;
  }

  async join(): Promise<void> {
    assertReadable(this.#record());
    const stop = AbortSignal.any([this.#left.signal, ...(this.#options.signal ? [this.#options.signal] : [])]);
    this.#revision = await claimName(this.#bus.nodes, this.#record(), this.#clock, stop);
    this.#hasJoined = true;
    const key = keys.order(this.#description.name);
    this.#beating = this.#keepBeating();
    const watching = this.#bus.state.watch("orders.", (change) => {
      if (change.key === key) this.#obey(parseRecord(orderRecord, change.value));
    });
    this.#orders = await beginWatch(watching, stop);
    const { name, address = "no address", slots } = this.#description;
    const message = `Agent ${quote(name)} takes units at ${address}, ${slots} at once`;
    this.report({ level: "info", type: "started", message, fields: { slots, address } });
  }

  drain(): Promise<void> {
    if (this.#state === "draining") return this.#telling;
    this.#state = "draining";
    const { name } = this.#description;
    const by = this.#order === undefined ? "" : `, as ${quote(this.#order.by)} ordered`;
    const message = `Agent ${quote(name)} takes no more units${by}; ${this.#options.running()} are running`;
    this.report({ level: "info", type: "draining", message });
    return this.#tell();
  }

  get isConnected(): boolean {
    return this.#hasJoined && this.#bus.isConnected;
  }

  report(happening: Happening): void {
    this.#options.onReport?.(happening);
    const { name } = this.#description;
    const event: ClusterEvent = { at: new Date().toISOString(), node: name, ...happening };
    const message = event.message.slice(0, maxMessageLength);
    this.#bus.events.append(wordOf(name), JSON.stringify({ ...event, message }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left.signal.aborted) return;
    this.#left.abort();
    // Readers find out by themselves what cannot be told.
    if (this.#bus.isConnected) await Promise.all([this.#beating, this.#telling]);
    await this.#orders?.[Symbol.asyncDispose]();
    if (!this.#hasJoined) return;
    if (this.#orders !== undefined) this.#reportEnd();
    await this.#signOff();
  }

  #reportEnd(): void {
    this.report({ level: "info", type: "ended", message: `Agent ${quote(this.#description.name)} has ended` });
  }

  async #keepBeating(): Promise<void> {
    for (;;) {
      await sleep(this.#clock, this.#beatMs, this.#left.signal);
      if (this.#left.signal.aborted) return;
      await this.#tell();
    }
  }

  #tell(): Promise<void> {
    this.#telling = this.#telling.then(() => this.#tellNow());
    return this.#telling;
  }

  /** Never fails: what the bus does not take is told again with the next beat. */
  async #tellNow(): Promise<void> {
    if (this.#left.signal.aborted) return;
    const record = this.#record();
    const nodes = this.#bus.nodes;
    try {
      const revision = await nodes.update(keys.node(record.name), JSON.stringify(record), this.#revision);
      // The engine has lost our record, or has taken an update whose reply was lost, or somebody else is there.
      this.#revision = revision ?? (await claimName(nodes, this.#record(), this.#clock, this.#left.signal));
    } catch (reason) {
      const error = AmalgamError.from(reason);
      if (error.code === "usage" && !this.#left.signal.aborted) this.#giveWay(error);
    }
  }

  #giveWay(cause: AmalgamError): void {
    this.#hasJoined = false;
    this.#left.abort();
    const name = quote(this.#description.name);
    const message = `Agent ${name} ends: it was silent for so long that another one has joined the cluster under its name`;
    this.#options.onReplaced(new AmalgamError("fenced", message, { cause, details: cause.details }));
  }

  #obey(order: OrderRecord | undefined): void {
    if (order === undefined || order.instance !== this.#description.instance || this.#order !== undefined) return;
    this.#order = order;
    this.#options.onDrain(order);
  }

  /** Takes away only what is ours. */
  async #signOff(): Promise<void> {
    if (!this.#bus.isConnected) return;
    const { nodes, state } = this.#bus;
    const { name, instance } = this.#description;
    try {
      const entry = await nodes.get(keys.node(name));
      if (parseRecord(nodeRecord, entry?.value)?.instance === instance) await nodes.delete(keys.node(name));
      if (this.#order !== undefined) await state.delete(keys.order(name));
    } catch {
      return;
    }
  }

  #record(): NodeRecord {
    this.#beat += 1;
    const running = this.#options.running();
    return { ...this.#description, state: this.#state, running, beat: this.#beat, beatMs: this.#beatMs };
  }
}

/** Readers skip a record that they do not accept: the agent would serve and never be asked to. */
function assertReadable(record: NodeRecord): void {
  const issue = nodeRecord.safeParse(record).error?.issues[0];
  if (issue === undefined) return;
  const problem = `its ${issue.path.join(".")} cannot be told: ${issue.message}`;
  throw new AmalgamError("usage", `Cannot join the cluster as ${quote(record.name)}: ${problem}`);
}

/** Of an event, as readers accept it. */
const maxMessageLength = 4_000;
