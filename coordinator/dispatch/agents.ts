import { setMaxListeners } from "node:events";
import { type Clock, keepAlive, sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import { AgentService } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { type ClientOf, createClient } from "../../shared/rpc/client.js";
import { loopback, type Security } from "../../shared/rpc/security.js";
import { type AgentDescription, readDescription } from "./agent-description.js";
import type { AgentSet, DispatchAgent } from "./dispatchable.js";
import { type AgentState, canAgentMove } from "./states.js";

export type { AgentDescription } from "./agent-description.js";

export type AgentClient = ClientOf<typeof AgentService>;

/** For whom an agent is asked to work; see `Leadership` in agent.proto. */
export interface Leadership {
  readonly job: string;
  readonly fence: bigint;
}

/** How agents are reached and given up. */
export interface AgentOptions {
  /** How long an agent that does not answer is asked again before it is lost. @default 10 s */
  readonly reconnectMs?: number;
  /** @default loopback alone */
  readonly security?: Security;
  /** Asked whenever an agent is connected to. Default: nobody leads. */
  readonly leadership?: () => Leadership | undefined;
  readonly clock?: Clock;
  /** For simulations. @default over gRPC */
  readonly createClient?: (address: string, security: Security, name?: string) => AgentClient;
  /** Ends connecting. */
  readonly signal?: AbortSignal;
}

const defaultReconnectMs = 10_000;
const describeTimeoutMs = 3_000;
const describeAgainMs = 200;

/** An agent as the coordinator sees it. What it says of itself is known once it has been `ready`. */
export class Agent implements DispatchAgent {
  readonly address: string;
  /** Whom the certificate at this address has to name. Undefined: any agent. */
  readonly certifiedName: string | undefined;
  readonly #options: AgentOptions;
  readonly #clock: Clock;
  readonly #client: AgentClient | AmalgamError;
  readonly #stop: AbortController = new AbortController();
  readonly #onChange: (agent: Agent) => void;
  #state: AgentState = "connecting";
  #description: AgentDescription | undefined;
  #lostBecause: AmalgamError | undefined;
  #connecting: Promise<void> = Promise.resolve();

  constructor(address: string, options: AgentOptions, onChange: (agent: Agent) => void, certifiedName?: string) {
    this.address = address;
    this.certifiedName = certifiedName;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#onChange = onChange;
    this.#client = tryToCreateClient(address, options, certifiedName);
  }

  /** Fails with `usage` if the address is not one, or must not be connected to. */
  get client(): AgentClient {
    if (this.#client instanceof AmalgamError) throw this.#client;
    return this.#client;
  }

  get state(): AgentState {
    return this.#state;
  }

  /** Units that it runs at once. */
  get slots(): number {
    return this.#description?.slots ?? 0;
  }

  get description(): AgentDescription | undefined {
    return this.#description;
  }

  get name(): string {
    return this.#description?.name ?? this.address;
  }

  /** For messages: `"local-1" at 127.0.0.1:40123`. */
  get label(): string {
    return this.#description === undefined ? this.address : `${quote(this.#description.name)} at ${this.address}`;
  }

  /** Why it is lost. */
  get lostBecause(): AmalgamError | undefined {
    return this.#lostBecause;
  }

  /** Asks it who it is until it answers or is lost. */
  connect(): Promise<void> {
    this.#connecting = this.#connect();
    return this.#connecting;
  }

  /** Resolves when it answers or is lost, if it is being asked. */
  settled(): Promise<void> {
    return this.#connecting;
  }

  /** What the failure of an attempt says about the agent that made it. */
  report(error: AmalgamError): void {
    if (error.code === "agent_draining") this.#move("draining");
    if (error.code === "agent_lost" && this.#state === "ready") {
      this.#move("connecting");
      void this.connect();
    }
    // A draining agent that is gone has drained.
    if (error.code === "agent_lost" && this.#state === "draining") this.lose(error);
  }

  /** Gives it up, for somebody who knows that it is gone or is not to be used. */
  lose(because: AmalgamError): void {
    if (this.#state === "lost") return;
    this.#lostBecause = because;
    this.#move("lost");
  }

  async close(): Promise<void> {
    this.#stop.abort(new AmalgamError("canceled", `Disconnected from agent ${this.label}`));
    if (!(this.#client instanceof AmalgamError)) this.#client.close();
    await this.#connecting;
  }

  async #connect(): Promise<void> {
    const { signal } = this.#stop;
    const { reconnectMs = defaultReconnectMs, leadership, signal: outer } = this.#options;
    const giveUpAt = this.#clock.now() + reconnectMs;
    const stop = (): void => void this.close();
    outer?.addEventListener("abort", stop, { once: true });
    using _ = keepAlive();
    try {
      while (!signal.aborted && outer?.aborted !== true && this.#state === "connecting") {
        try {
          const leader = leadership?.();
          const request = leader === undefined ? {} : { leadership: leader };
          const answer = await this.client.describe(request, { signal, timeoutMs: describeTimeoutMs });
          this.#description = readDescription(this.address, answer);
          this.#move("ready");
        } catch (reason) {
          const error = AmalgamError.from(reason);
          if (signal.aborted) return;
          if (error.code === "usage" || error.code === "fenced" || this.#clock.now() >= giveUpAt) this.lose(error);
          else await sleep(this.#clock, describeAgainMs, signal);
        }
      }
    } finally {
      outer?.removeEventListener("abort", stop);
    }
  }

  #move(to: AgentState): void {
    if (!canAgentMove(this.#state, to)) return;
    this.#state = to;
    this.#onChange(this);
  }
}

function tryToCreateClient(address: string, options: AgentOptions, name?: string): AgentClient | AmalgamError {
  const { security = loopback, createClient: create = createGrpcClient } = options;
  try {
    return create(address, security, name);
  } catch (reason) {
    return AmalgamError.from(reason);
  }
}

function createGrpcClient(address: string, security: Security, name?: string): AgentClient {
  return createClient(AgentService, address, security, { name });
}

/** The agents of one job. There is one at each address; one that is lost stays listed until another takes its place. */
export class Agents implements AgentSet<Agent>, AsyncDisposable {
  readonly #options: AgentOptions;
  readonly #listeners = new Set<(agent: Agent) => void>();
  readonly #closing = new Set<Promise<void>>();
  /** Follows the caller's signal: hundreds of agents listen to it at once. */
  readonly #ending = new AbortController();
  readonly #outer: AbortSignal | undefined;
  #agents: readonly Agent[] = [];

  constructor(options: AgentOptions = {}) {
    const { signal } = this.#ending;
    setMaxListeners(0, signal);
    this.#options = { ...options, signal };
    this.#outer = options.signal;
    this.#outer?.addEventListener("abort", this.#end, { once: true });
    if (this.#outer?.aborted) this.#end();
  }

  get list(): readonly Agent[] {
    return this.#agents;
  }

  /**
   * One more agent, which takes units as soon as it answers. Resolves when it is ready or lost, which it is with `usage`
   * if it must not be used: another version, an address that is not loopback. An agent that is there already is returned.
   * `name` is whom its certificate has to name, where that is known.
   */
  async add(address: string, name?: string): Promise<Agent> {
    const known = this.#find(address);
    if (known !== undefined && known.state !== "lost") {
      await known.settled();
      return known;
    }
    const onChange = (changed: Agent): void => {
      for (const listener of this.#listeners) listener(changed);
    };
    const agent = new Agent(address, this.#options, onChange, name);
    if (known === undefined) this.#agents = [...this.#agents, agent];
    else {
      this.#agents = this.#agents.map((one) => (one === known ? agent : one));
      this.#close(known);
    }
    await agent.connect();
    return agent;
  }

  /** An agent is gone for good, or shall not be used: what it runs is given to others. Without effect if it is not known. */
  remove(address: string, reason: AmalgamError): void {
    const agent = this.#find(address);
    if (agent === undefined) return;
    agent.lose(reason);
    this.#close(agent);
  }

  onChange(listener: (agent: Agent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#outer?.removeEventListener("abort", this.#end);
    for (const agent of this.#agents) this.#close(agent);
    await Promise.all(this.#closing);
  }

  readonly #end = (): void => this.#ending.abort(this.#outer?.reason);

  #find(address: string): Agent | undefined {
    return this.#agents.find((agent) => agent.address === address);
  }

  #close(agent: Agent): void {
    const closing = agent.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

/**
 * Connects to agents and waits until each has answered or is lost. Fails if none is left, and if one must not be used:
 * another version, an address that is not loopback.
 */
export async function connectAgents(addresses: readonly string[], options: AgentOptions = {}): Promise<Agents> {
  const agents = new Agents(options);
  try {
    await Promise.all(addresses.map((address) => agents.add(address)));
    options.signal?.throwIfAborted();
    const reasons = agents.list.map((agent) => agent.lostBecause);
    const unusable = reasons.find((reason) => reason?.code === "usage" || reason?.code === "fenced");
    if (unusable !== undefined) throw unusable;
    if (agents.list.every((agent) => agent.state === "lost")) {
      const [first] = reasons;
      throw new AmalgamError(
        "agent_lost",
        `${addresses.length === 1 ? "The agent does not answer" : `None of ${addresses.length} agents answers`}: ${first?.message ?? "none is named"}`,
        { cause: first },
      );
    }
    return agents;
  } catch (reason) {
    await agents[Symbol.asyncDispose]();
    throw AmalgamError.from(reason);
  }
}
