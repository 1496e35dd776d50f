import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Agent, AgentDescription, Agents } from "../dispatch/agents.js";
import type { Located } from "../dispatch/locate.js";
import type { AgentState } from "../dispatch/states.js";

/** Asks an agent what it sees. */
export type Look = (agent: Agent) => Promise<Located>;

const lookAgainMs = 1_000;

/** An agent, and what it sees of one job. It takes units once that is known. */
export class JobAgent {
  readonly agent: Agent;
  /** Undefined: everything, as an agent on the coordinator's own machine does. */
  sight: Located | undefined;
  #isLooking = false;

  constructor(agent: Agent) {
    this.agent = agent;
  }

  get address(): string {
    return this.agent.address;
  }

  get name(): string {
    return this.agent.name;
  }

  get label(): string {
    return this.agent.label;
  }

  get slots(): number {
    return this.agent.slots;
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

  /** Takes no units while `look` runs, which is done anew whenever the agent has been away. */
  async lookAround(look: Look, clock: Clock): Promise<void> {
    this.#isLooking = true;
    while (this.agent.state === "ready") {
      try {
        this.sight = await look(this.agent);
        this.#isLooking = false;
        return;
      } catch (error) {
        // One that is gone looks again when it is back.
        this.agent.report(AmalgamError.from(error));
        await sleep(clock, lookAgainMs);
      }
    }
  }
}

/** The agents of a job. They come and go while it runs. */
export class JobAgents {
  readonly #agents: JobAgent[] = [];
  readonly #listeners = new Set<(agent: JobAgent) => void>();
  readonly #looking = new Set<Promise<void>>();
  readonly #look: Look | undefined;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;

  /** Without `look` all agents see everything. */
  constructor(agents: Agents, look?: Look, clock: Clock = systemClock) {
    this.#look = look;
    this.#clock = clock;
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

  close(): void {
    this.#unsubscribe();
  }

  #changed(agent: Agent): void {
    let known = this.#agents.find((one) => one.agent === agent);
    if (known === undefined) {
      known = new JobAgent(agent);
      // One that came back is a new one at the same address.
      const before = this.#agents.findIndex(({ address }) => address === agent.address);
      if (before >= 0) this.#agents.splice(before, 1);
      this.#agents.push(known);
    }
    if (agent.state === "ready" && this.#look !== undefined) this.#startLooking(known, this.#look);
    else this.#tell(known);
  }

  #startLooking(agent: JobAgent, look: Look): void {
    const looking = agent.lookAround(look, this.#clock).then(() => {
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
