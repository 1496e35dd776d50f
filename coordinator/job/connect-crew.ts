import { sleep, systemClock } from "../../shared/clock.js";
import type { Security } from "../../shared/rpc/security.js";
import { Agents, connectAgents, type Leadership } from "../dispatch/agents.js";
import { startLocalAgents } from "../dispatch/local-agents.js";
import { followRegistry } from "./follow-registry.js";
import { JobAgents, type Look } from "./job-agents.js";
import { Keeper } from "./keeper.js";
import type { AgentsWanted } from "./types.js";

/** The agents of a job. Disposing lets go of them, and ends those that were started for it. */
export interface Crew extends AsyncDisposable {
  readonly agents: JobAgents;
}

export interface CrewOptions {
  /** Folders that agents started here may use. */
  readonly roots: readonly string[];
  /** Further words for agents started here. */
  readonly words?: readonly string[];
  /** Goes with every call; see `Leadership` in agent.proto. Default: nobody leads. */
  readonly leadership?: Leadership;
  readonly security: Security | undefined;
  readonly signal: AbortSignal | undefined;
  /** Asks an agent that runs elsewhere what it sees. */
  readonly look: Look;
  /** What each agent runs at once. Default: as many units as it says. */
  readonly slots?: number;
  /** An agent of the cluster must not be used. */
  readonly onUnfit: (agent: string, reason: string) => void;
}

/** An agent that cannot say within this time which files it sees has a file system that hangs. */
export const locateTimeoutMs = 60_000;
/** How long a job's start waits for that. */
const settleMs = 2_000;

/** Agents as they are wanted: connected to, found in the cluster, or started here. */
export async function connectCrew(wanted: AgentsWanted, options: CrewOptions): Promise<Crew> {
  const [agents, keeper] = await Keeper.with((keeper) => connect(wanted, options, keeper));
  return { agents, [Symbol.asyncDispose]: () => keeper[Symbol.asyncDispose]() };
}

async function connect(wanted: AgentsWanted, options: CrewOptions, keeper: Keeper): Promise<JobAgents> {
  const { roots, words, leadership, security, signal, look, slots, onUnfit } = options;
  const connection = {
    ...(leadership && { leadership: () => leadership }),
    ...(security && { security }),
    ...(signal && { signal }),
  };
  if (wanted.kind === "local") {
    const local = keeper.keep(await startLocalAgents({ ...wanted, roots, words }));
    const agents = keeper.keep(await connectAgents(local.addresses, connection));
    local.onExit((address, reason) => agents.remove(address, reason));
    return keeper.keep(new JobAgents(agents, undefined, systemClock, slots));
  }
  if (wanted.kind === "running") {
    const connected = keeper.keep(await connectAgents(wanted.addresses, connection));
    const agents = keeper.keep(new JobAgents(connected, look, systemClock, slots));
    await settled(agents, signal);
    return agents;
  }
  const connected = keeper.keep(new Agents(connection));
  const agents = keeper.keep(new JobAgents(connected, look, systemClock, slots));
  await keeper.keep(followRegistry(wanted.registry, connected, undefined, onUnfit)).started;
  await settled(agents, signal);
  return agents;
}

/** Waits a moment for agents to say what they see. Those that take longer join later. */
async function settled(agents: JobAgents, signal: AbortSignal | undefined): Promise<void> {
  const over = new AbortController();
  const ending = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  await Promise.race([agents.settled(), sleep(systemClock, settleMs, ending)]);
  over.abort();
  signal?.throwIfAborted();
}
