/** An agent as the dispatcher's books have it. */
export interface PooledAgent {
  readonly address: string;
  readonly slots: number;
  readonly running: number;
  /** Takes new attempts. */
  readonly isReady: boolean;
  /** It refuses all that has never been tried, so it is not asked again before an agent has changed. */
  readonly isResting: boolean;
}

interface Entry extends PooledAgent {
  slots: number;
  running: number;
  isReady: boolean;
  isResting: boolean;
  free: number;
  level: Set<Entry> | undefined;
}

/** Agents are told apart by how full they are in steps of this part of their slots. */
const levels = 32;

/** The agents by how full they are. Everything but a change of agents takes the same time however many there are. */
export class AgentPool {
  readonly #agents = new Map<string, Entry>();
  readonly #levels: readonly Set<Entry>[] = Array.from({ length: levels }, () => new Set<Entry>());
  #freeSlots = 0;

  get freeSlots(): number {
    return this.#freeSlots;
  }

  /** All that have not been removed, ready or not. */
  all(): Iterable<PooledAgent> {
    return this.#agents.values();
  }

  get(address: string): PooledAgent | undefined {
    return this.#agents.get(address);
  }

  /** Those with a free slot, the emptiest first; of equally full ones the one that changed first. */
  *free(): Generator<PooledAgent, undefined, void> {
    for (const level of this.#levels) yield* level;
    return undefined;
  }

  set(address: string, slots: number, isReady: boolean): void {
    const known = this.#agents.get(address);
    const entry = known ?? { ...{ address, slots, isReady, running: 0, free: 0 }, isResting: false, level: undefined };
    Object.assign(entry, { slots, isReady });
    this.#agents.set(address, entry);
    this.#place(entry);
    this.rouse();
  }

  remove(address: string): void {
    this.set(address, 0, false);
    this.#agents.delete(address);
  }

  rest(address: string): void {
    const agent = this.#agents.get(address);
    if (agent !== undefined) agent.isResting = true;
  }

  /** There is something new that resting agents have not been asked about. */
  rouse(): void {
    for (const agent of this.#agents.values()) agent.isResting = false;
  }

  /** One more attempt runs on it, or with `-1` one less. */
  count(address: string, change: 1 | -1): void {
    const agent = this.#agents.get(address);
    if (agent === undefined) return;
    agent.running += change;
    this.#place(agent);
  }

  #place(agent: Entry): void {
    const free = agent.isReady ? Math.max(0, agent.slots - agent.running) : 0;
    this.#freeSlots += free - agent.free;
    agent.free = free;
    agent.level?.delete(agent);
    agent.level = free === 0 ? undefined : this.#levels[Math.floor((levels * agent.running) / agent.slots)];
    agent.level?.add(agent);
  }
}
