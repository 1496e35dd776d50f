import type { MessageInitShape } from "@bufbuild/protobuf";
import { AmalgamError } from "../../shared/errors.js";
import { FileState, type SourceFileSchema } from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { Security } from "../../shared/rpc/security.js";
import { type Agent, Agents, connectAgents } from "../dispatch/agents.js";
import { startLocalAgents } from "../dispatch/local-agents.js";
import type { Located } from "../dispatch/locate.js";
import { followRegistry } from "../job/follow-registry.js";
import { JobAgents, type Look } from "../job/job-agents.js";
import { Keeper } from "../job/keeper.js";
import type { AgentsWanted } from "../job/types.js";

/** What the agents of an evaluation are to see. */
export interface EvaluationCrewOptions {
  /** All weight files of all models. */
  readonly sources: readonly MessageInitShape<typeof SourceFileSchema>[];
  /** Folders that agents started here may read. */
  readonly roots: readonly string[];
  /** Further words for agents started here. */
  readonly words: readonly string[];
  readonly security: Security | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onUnfit: (agent: string, reason: string) => void;
}

export interface EvaluationCrew extends AsyncDisposable {
  readonly agents: JobAgents;
}

/** ONNX Runtime uses all of an agent's cores for one slice. */
const slotsEach = 1;
const locateTimeoutMs = 60_000;

/** The agents of an evaluation: started here, named by the user, or those of the cluster. Disposing lets go of them. */
export async function assembleEvaluationCrew(
  wanted: AgentsWanted,
  options: EvaluationCrewOptions,
): Promise<EvaluationCrew> {
  const [agents, keeper] = await Keeper.with((keeper) => assemble(wanted, options, keeper));
  return { agents, [Symbol.asyncDispose]: () => keeper[Symbol.asyncDispose]() };
}

async function assemble(
  wanted: AgentsWanted,
  { sources, roots, words, security, signal, onUnfit }: EvaluationCrewOptions,
  keeper: Keeper,
): Promise<JobAgents> {
  const connection = { ...(security && { security }), ...(signal && { signal }) };
  if (wanted.kind === "local") {
    const local = keeper.keep(await startLocalAgents({ ...wanted, roots, words }));
    const agents = keeper.keep(await connectAgents(local.addresses, connection));
    local.onExit((address, reason) => agents.remove(address, reason));
    return keeper.keep(new JobAgents(agents, undefined, undefined, slotsEach));
  }
  const look: Look = (agent, closing) => locate(agent, sources, closing);
  if (wanted.kind === "running") {
    const connected = keeper.keep(await connectAgents(wanted.addresses, connection));
    const agents = keeper.keep(new JobAgents(connected, look, undefined, slotsEach));
    await agents.settled();
    return agents;
  }
  const connected = keeper.keep(new Agents(connection));
  const agents = keeper.keep(new JobAgents(connected, look, undefined, slotsEach));
  await keeper.keep(followRegistry(wanted.registry, connected, undefined, onUnfit)).started;
  await agents.settled();
  return agents;
}

/** Which of the weight files an agent reads where it is. */
async function locate(
  agent: Agent,
  sources: readonly MessageInitShape<typeof SourceFileSchema>[],
  signal: AbortSignal,
): Promise<Located> {
  const { files } = await agent.client.locate({ files: [...sources] }, { timeoutMs: locateTimeoutMs, signal });
  if (files.length !== sources.length) {
    const problem = `was asked for ${sources.length} files and answered for ${files.length}`;
    throw new AmalgamError("chunk_corrupt", `Agent ${agent.label} ${problem}`);
  }
  return { agent: agent.address, has: (source) => files[source] === FileState.PRESENT, sharesOutput: false };
}
