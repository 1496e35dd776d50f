import { formatBytes } from "../../shared/bytes.js";
import { quote } from "../../shared/quote.js";
import { isRemote } from "../../shared/remote/url.js";
import type { Located } from "../dispatch/locate.js";
import { formatQuantity } from "../plan/report.js";
import type { Plan, Unit } from "../plan/types.js";
import type { Mirrors } from "../sources/mirror.js";
import type { JobAgent, JobAgents } from "./job-agents.js";
import { unitSources } from "./unit-sources.js";

/** Details of errors are cut on their way, so that of a URL this much is compared. */
const toldLength = 180;

export interface PlacementOptions {
  /** Tensor data that one slot must be able to hold. */
  readonly bytesPerSlot: number;
  /** Agents must write the output's files themselves. */
  readonly needsOutput: boolean;
  readonly mirrors: Mirrors["files"] | undefined;
}

/** Which agent may run which unit, and how much of what it reads would come from other agents. */
export class JobPlacement {
  readonly #plan: Plan;
  readonly #agents: Pick<JobAgents, "list" | "onChange">;
  readonly #options: PlacementOptions;
  readonly #sighted = new WeakMap<Located, boolean>();
  /** By source, until an agent comes or changes: asked for with every unit and agent. */
  readonly #peers = new Map<number, readonly string[]>();
  /** By address. */
  readonly #certifiedNames = new Map<string, string | undefined>();
  #unserved: readonly number[] | undefined;
  /** What servers said to agents that they did not let read, by the agent's address and by URL. */
  readonly #refused = new Map<string, Map<string, string>>();
  /** By unit; made when first asked for. */
  readonly #sources = new Map<Unit, ReadonlyMap<number, number>>();

  constructor(plan: Plan, agents: Pick<JobAgents, "list" | "onChange">, options: PlacementOptions) {
    this.#plan = plan;
    this.#agents = agents;
    this.#options = options;
    agents.onChange(({ address, state }) => {
      if (state !== "ready") this.#refused.delete(address);
      this.#peers.clear();
      this.#certifiedNames.clear();
      this.#unserved = undefined;
    });
  }

  /** Why the agent cannot run the unit, if it cannot. */
  refuses(unit: Unit, agent: JobAgent): string | undefined {
    const { bytesPerSlot, needsOutput } = this.#options;
    const memory = agent.description?.memoryBytes ?? Infinity;
    if (bytesPerSlot > memory / agent.slots) {
      return (
        `it may hold ${formatBytes(memory)} of tensor data, and ${formatQuantity(agent.slots, "slot")} need ` +
        `${formatBytes(bytesPerSlot * agent.slots)} for this merge: give it more with --memory or fewer with --slots`
      );
    }
    const { sight } = agent;
    const refused = this.#refusedTo(unit, agent);
    if (refused !== undefined) return refused;
    if (sight === undefined) return undefined;
    if (needsOutput && !sight.sharesOutput) return "it does not see the output's folder";
    if (this.#seesAll(sight)) return undefined;
    for (const source of this.#missing()) {
      if (sight.has(source) || !this.#sourcesOf(unit).has(source)) continue;
      const path = this.#pathOf(source);
      return isRemote(path)
        ? `it may not read ${quote(path)}: give it a "--root" that this is below`
        : `it cannot read ${quote(path)}, and no other agent has it`;
    }
    return undefined;
  }

  /** A server does not let the agent read a file: it is not asked for it again, unless it is started anew. */
  refuse(agent: string, url: string, reason: string): void {
    const refused = this.#refused.get(agent) ?? new Map<string, string>();
    this.#refused.set(agent, refused.set(url.slice(0, toldLength), reason));
  }

  /** Input bytes that the agent would have to fetch. */
  remoteBytes(unit: Unit, { sight }: JobAgent): number {
    if (sight === undefined || this.#seesAll(sight)) return 0;
    let bytes = 0;
    for (const [source, size] of this.#sourcesOf(unit)) if (!sight.has(source)) bytes += size;
    return bytes;
  }

  /** The agents that can serve a source file to others, by address. What is on a server, each reads there. */
  peersOf(source: number): readonly string[] {
    let peers = isRemote(this.#pathOf(source)) ? [] : this.#peers.get(source);
    if (peers === undefined) {
      const there = this.#agents.list.filter(
        ({ state, sight }) => (state === "ready" || state === "draining") && sight?.has(source) === true,
      );
      peers = there.map(({ address }) => address);
      this.#peers.set(source, peers);
      for (const { address, certifiedName } of there) this.#certifiedNames.set(address, certifiedName);
    }
    return peers;
  }

  /** Whom the certificate of one of these has to name. Undefined: any agent. */
  certifiedNameOf(address: string): string | undefined {
    return this.#certifiedNames.get(address);
  }

  /** The sources that no agent serves. Asked for with every unit that an agent may run, and usually there are none. */
  #missing(): readonly number[] {
    this.#unserved ??= [...this.#plan.sources.keys()].filter((source) => this.peersOf(source).length === 0);
    return this.#unserved;
  }

  #refusedTo(unit: Unit, { address }: JobAgent): string | undefined {
    const refused = this.#refused.get(address);
    if (refused === undefined) return undefined;
    for (const source of this.#sourcesOf(unit).keys()) {
      const reason = refused.get(this.#pathOf(source).slice(0, toldLength));
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  /** Where agents look for it. */
  #pathOf(source: number): string {
    const planned = this.#plan.sources[source]?.path ?? "";
    return this.#options.mirrors?.get(planned)?.path ?? planned;
  }

  /** The usual case, decided once per agent. */
  #seesAll(sight: Located): boolean {
    let seesAll = this.#sighted.get(sight);
    if (seesAll === undefined) {
      seesAll = this.#plan.sources.every((_, source) => sight.has(source));
      this.#sighted.set(sight, seesAll);
    }
    return seesAll;
  }

  #sourcesOf(unit: Unit): ReadonlyMap<number, number> {
    let sources = this.#sources.get(unit);
    if (sources === undefined) {
      sources = unitSources(this.#plan, unit);
      this.#sources.set(unit, sources);
    }
    return sources;
  }
}
