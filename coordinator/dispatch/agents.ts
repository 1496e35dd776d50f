import { AmalgamError } from "../../shared/errors.js";
import { AgentService } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { type ClientOf, createClient } from "../../shared/rpc/client.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { type AgentState, canAgentMove } from "./states.js";

export type AgentClient = ClientOf<typeof AgentService>;

/** How an agent is reached and given up. */
export interface AgentOptions {
  /** How long an agent that does not answer is asked again before it is lost. @default 10 s */
  readonly reconnectMs?: number;
  readonly signal?: AbortSignal;
}

const defaultReconnectMs = 10_000;
const describeTimeoutMs = 3_000;
const describeAgainMs = 200;

const maxSlots = 1_024;

/** An agent as the coordinator sees it. What it says of itself is known once it has been `ready`. */
export class Agent {
  readonly address: string;
  readonly client: AgentClient;
  readonly #reconnectMs: number;
  readonly #stop: AbortController = new AbortController();
  readonly #onChange: (agent: Agent) => void;
  #state: AgentState = "connecting";
  #description: AgentDescription | undefined;
  #lostBecause: AmalgamError | undefined;
  #connecting: Promise<void> = Promise.resolve();

  constructor(address: string, options: { reconnectMs: number; onChange: (agent: Agent) => void }) {
    this.address = address;
    this.client = createClient(AgentService, address);
    this.#reconnectMs = options.reconnectMs;
    this.#onChange = options.onChange;
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

  /** What the failure of an attempt says about the agent that made it. */
  report(error: AmalgamError): void {
    if (error.code === "agent_draining") this.#move("draining");
    if (error.code === "agent_lost" && this.#state === "ready") {
      this.#move("connecting");
      void this.connect();
    }
    // A draining agent that is gone has drained.
    if (error.code === "agent_lost" && this.#state === "draining") this.#lose(error);
  }

  async close(): Promise<void> {
    this.#stop.abort(new AmalgamError("canceled", `Disconnected from agent ${this.label}`));
    this.client.close();
    await this.#connecting;
  }

  async #connect(): Promise<void> {
    const { signal } = this.#stop;
    const giveUpAt = performance.now() + this.#reconnectMs;
    for (;;) {
      try {
        const answer = await this.client.describe({}, { signal, timeoutMs: describeTimeoutMs });
        this.#description = checked(this.address, answer);
        this.#move("ready");
        return;
      } catch (reason) {
        const error = AmalgamError.from(reason);
        if (signal.aborted) return;
        if (error.code === "usage" || performance.now() >= giveUpAt) {
          this.#lose(error);
          return;
        }
        await pause(describeAgainMs, signal);
      }
    }
  }

  #lose(error: AmalgamError): void {
    this.#lostBecause = error;
    this.#move("lost");
  }

  #move(to: AgentState): void {
    if (!canAgentMove(this.#state, to)) return;
    this.#state = to;
    this.#onChange(this);
  }
}

export interface AgentDescription {
  readonly name: string;
  readonly version: string;
  readonly slots: number;
  readonly memoryBytes: number;
  readonly roots: readonly string[];
}

function checked(
  address: string,
  answer: { name: string; version: string; slots: number; memoryBytes: bigint; roots: string[] },
) {
  const { name, version, slots, memoryBytes, roots } = answer;
  const refuse = (reason: string): AmalgamError =>
    new AmalgamError("usage", `Cannot use agent ${quote(name)} at ${address}: ${reason}`, { details: { agent: name } });
  // One job, one version: another one may compute another byte.
  const own = packageVersion();
  if (version !== own) throw refuse(`it runs version ${quote(version)}, this coordinator ${quote(own)}`);
  if (slots < 1 || slots > maxSlots) throw refuse(`it offers ${slots} slots, not between 1 and ${maxSlots}`);
  return { name, version, slots, memoryBytes: Number(memoryBytes), roots } satisfies AgentDescription;
}

/** The agents of one job. */
export class Agents implements AsyncDisposable {
  readonly #agents: Agent[] = [];
  readonly #listeners = new Set<(agent: Agent) => void>();

  get list(): readonly Agent[] {
    return this.#agents;
  }

  /** One more agent, which takes units as soon as it answers. Resolves when it is ready or lost. */
  async add(address: string, options: AgentOptions = {}): Promise<Agent> {
    const agent = new Agent(address, {
      reconnectMs: options.reconnectMs ?? defaultReconnectMs,
      onChange: (changed) => {
        for (const listener of this.#listeners) listener(changed);
      },
    });
    this.#agents.push(agent);
    const close = (): void => void agent.close();
    options.signal?.addEventListener("abort", close, { once: true });
    await agent.connect();
    options.signal?.removeEventListener("abort", close);
    return agent;
  }

  /** Called whenever an agent changes its state. Returns what ends that. */
  onChange(listener: (agent: Agent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.close()));
  }
}

/**
 * Connects to agents and waits until each has answered or is lost. Fails if none is left, and if one must not be used:
 * another version, an address that is not loopback.
 */
export async function connectAgents(addresses: readonly string[], options: AgentOptions = {}): Promise<Agents> {
  const agents = new Agents();
  try {
    await Promise.all(addresses.map((address) => agents.add(address, options)));
    options.signal?.throwIfAborted();
    const reasons = agents.list.map((agent) => agent.lostBecause);
    const unusable = reasons.find((reason) => reason?.code === "usage");
    if (unusable !== undefined) throw unusable;
    if (agents.list.every((agent) => agent.state === "lost")) {
      const [first] = reasons;
      throw new AmalgamError(
        "agent_lost",
        `None of ${addresses.length} agents answers: ${first?.message ?? "none is named"}`,
        {
          cause: first,
        },
      );
    }
    return agents;
  } catch (reason) {
    await agents[Symbol.asyncDispose]();
    throw AmalgamError.from(reason);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
