import { dirname } from "node:path";
import { sleep, systemClock } from "../../shared/clock.js";
import type { Security } from "../../shared/rpc/security.js";
import type { Staging } from "../assemble/staging.js";
import { type Agent, Agents, connectAgents } from "../dispatch/agents.js";
import { startLocalAgents } from "../dispatch/local-agents.js";
import { type Located, locateSources } from "../dispatch/locate.js";
import type { Plan } from "../plan/types.js";
import { type Mirrors, placesOf } from "../sources/mirror.js";
import { followRegistry } from "./follow-registry.js";
import { JobAgents } from "./job-agents.js";
import { Keeper } from "./keeper.js";
import type { AgentsWanted } from "./types.js";

/** What the agents of a job are told about it. */
export interface CrewContext {
  readonly plan: Plan;
  readonly staging: Staging;
  /** Goes with every call; see `Leadership` in agent.proto. */
  readonly leadership: { readonly job: string; readonly fence: bigint };
  readonly security: Security | undefined;
  readonly signal: AbortSignal | undefined;
  readonly mirrors: Mirrors["files"] | undefined;
  /** An agent of the cluster must not be used. */
  readonly onUnfit: (agent: string, reason: string) => void;
}

/** The agents of a job. Disposing lets go of them, and ends those that were started for it. */
export interface Crew extends AsyncDisposable {
  readonly agents: JobAgents;
}

/** An agent that cannot say within this time which files it sees has a file system that hangs. */
const locateTimeoutMs = 60_000;
/** How long a job's start waits for that. */
const settleMs = 2_000;

/** Agents as they are wanted: connected to, found in the cluster, or started here with just the folders of this job. */
export async function assembleCrew(wanted: AgentsWanted, context: CrewContext): Promise<Crew> {
  const [agents, keeper] = await Keeper.with((keeper) => assemble(wanted, context, keeper));
  return { agents, [Symbol.asyncDispose]: () => keeper[Symbol.asyncDispose]() };
}

async function assemble(wanted: AgentsWanted, context: CrewContext, keeper: Keeper): Promise<JobAgents> {
  const { plan, staging, leadership, security, signal, mirrors } = context;
  const options = {
    leadership: () => leadership,
    ...(security === undefined ? {} : { security }),
    ...(signal === undefined ? {} : { signal }),
  };
  if (wanted.kind === "local") {
    const roots = new Set([...plan.sources.map(({ path }) => path), ...staging.paths].map((path) => dirname(path)));
    const local = keeper.keep(await startLocalAgents({ ...wanted, roots: [...roots] }));
    const agents = keeper.keep(await connectAgents(local.addresses, options));
    local.onExit((address, reason) => agents.remove(address, reason));
    return keeper.keep(new JobAgents(agents));
  }
  const look = (agent: Agent, closing: AbortSignal): Promise<Located> =>
    locateSources(agent, plan, {
      signal: closing,
      leadership,
      probe: staging.probe,
      timeoutMs: locateTimeoutMs,
      ...(mirrors && { placeOf: placesOf(plan, { files: mirrors }) }),
    });
  if (wanted.kind === "running") {
    const agents = keeper.keep(new JobAgents(keeper.keep(await connectAgents(wanted.addresses, options)), look));
    await settled(agents, signal);
    return agents;
  }
  const connected = keeper.keep(new Agents(options));
  const agents = keeper.keep(new JobAgents(connected, look));
  await keeper.keep(followRegistry(wanted.registry, connected, undefined, context.onUnfit)).started;
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
