import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError, type ErrorCode } from "../../shared/errors.js";
import type { Agent, AgentDescription, Agents } from "../dispatch/agents.js";
import type { Located } from "../dispatch/locate.js";
import type { AgentState } from "../dispatch/states.js";

/** Asks an agent what it sees, until the signal. */
export type Look = (agent: Agent, signal: AbortSignal) => Promise<Located>;

const lookAgainMs = 1_000;
const maxLookAgainMs = 60_000;
/** What no other look can change. */
const final: ReadonlySet<ErrorCode> = new Set(["fenced", "usage", "path_refused"]);

/** An agent, and what it sees of one job. It takes units once that is known. */
export class JobAgent {
  readonly agent: Agent;
  /** Undefined: everything, as an agent on the coordinator's own machine does. */
  sight: Located | undefined;
  readonly #slots: number | undefined;
  #isLooking = false;

  /** `slots`: what it runs at once, if that is not what it says of its workers. */
  constructor(agent: Agent, slots?: number) {
    this.agent = agent;
    this.#slots = slots;
  }

  get address(): string {
    return this.agent.address;
  }

  get name(): string {
    return this.agent.name;
  }

  get certifiedName(): string | undefined {
    return this.agent.certifiedName;
  }

  get label(): string {
    return this.agent.label;
  }

  get slots(): number {
    return this.#slots ?? this.agent.slots;
  }

  get description(): AgentDescription | undefined {
    return this.agent.description;
  }

  get client(): Agent["client"] {
    return this.agent.client;
  }

  get state(): AgentState {
    return this.#isLooking && this.agent.state === "ready" ? "connecting" : this.agent.state;
  }

  get lostBecause(): AmalgamError | undefined {
    return this.agent.lostBecause;
  }

  report(error: AmalgamError): void {
    this.agent.report(error);
  }

  /**
   * Takes no units while `look` runs, which is done anew whenever the agent has been away. One that answers and cannot
   * say what it sees, since its file system hangs or it talks nonsense, is asked again ever more rarely.
   */
  async lookAround(look: Look, clock: Clock, signal: AbortSignal): Promise<void> {
    this.#isLooking = true;
    for (let pauseMs = lookAgainMs; this.agent.state === "ready" && !signal.aborted; pauseMs *= 2) {
      try {
        this.sight = await look(this.agent, signal);
        this.#isLooking = false;
        return;
      } catch (reason) {
        if (signal.aborted) return;
        const error = AmalgamError.from(reason);
        // That a later leader was heard of is for the dispatcher to find out: the agent is as good as gone for us.
        if (final.has(error.code)) this.agent.lose(error);
        // One that is gone looks again when it is back.
        else this.agent.report(error);
        await sleep(clock, Math.min(pauseMs, maxLookAgainMs), signal);
      }
    }
  }
}

/** The agents of a job. They come and go while it runs. */
export class JobAgents implements AsyncDisposable {
  readonly #agents: JobAgent[] = [];
  readonly #listeners = new Set<(agent: JobAgent) => void>();
  readonly #looking = new Set<Promise<void>>();
  readonly #look: Look | undefined;
  readonly #clock: Clock;
  readonly #slots: number | undefined;
  readonly #closing = new AbortController();
  readonly #unsubscribe: () => void;

  /** Without `look` all agents see everything. `slots`: what each runs at once, if not as many units as it says. */
  constructor(agents: Agents, look?: Look, clock: Clock = systemClock, slots?: number) {
    this.#look = look;
    this.#clock = clock;
    this.#slots = slots;
    this.#unsubscribe = agents.onChange((agent) => this.#changed(agent));
    for (const agent of agents.list) this.#changed(agent);
  }

  get list(): readonly JobAgent[] {
    return this.#agents;
  }

  onChange(listener: (agent: JobAgent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when every agent that is there now has looked around. */
  async settled(): Promise<void> {
    while (this.#looking.size > 0) await Promise.allSettled(this.#looking);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    this.#closing.abort();
    await this.settled();
  }

  #changed(agent: Agent): void {
    let known = this.#agents.find((one) => one.agent === agent);
    if (known === undefined) {
      known = new JobAgent(agent, this.#slots);
      // One that came back is a new one at the same address.
      const before = this.#agents.findIndex(({ address }) => address === agent.address);
      if (before >= 0) this.#agents.splice(before, 1);
      this.#agents.push(known);
    }
    if (agent.state === "ready" && this.#look !== undefined) this.#startLooking(known, this.#look);
    else this.#tell(known);
  }

  #startLooking(agent: JobAgent, look: Look): void {
    const looking = agent.lookAround(look, this.#clock, this.#closing.signal).then(() => {
      this.#looking.delete(looking);
      this.#tell(agent);
    });
    this.#looking.add(looking);
    this.#tell(agent);
  }

  #tell(agent: JobAgent): void {
    for (const listener of this.#listeners) listener(agent);
  }
}
