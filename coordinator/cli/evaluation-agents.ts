import { systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import { Registry } from "../cluster/registry.js";
import type { AgentsWanted } from "../job.js";
import { onCluster } from "./cluster-access.js";
import type { TlsOptions } from "./cluster-options.js";

/** Which agents run models for a command, and on what. */
export interface EvaluationAgentsOptions extends TlsOptions {
  readonly agents: number;
  readonly agent: readonly string[];
  readonly nats?: string | undefined;
  readonly provider?: string | undefined;
  readonly memory?: number | undefined;
  readonly trialMemory?: number | undefined;
  readonly json: boolean;
}

/** How long a command waits while the cluster has no agent for it. */
const maxWaitMs = 600_000;

export function startsAgents({ agent, nats }: Pick<EvaluationAgentsOptions, "agent" | "nats">): boolean {
  return agent.length === 0 && nats === undefined;
}

/** How an agent runs models is said when it is started. Each option is known to `amalgam agent` by the name beside it. */
export function assertForOwnAgents(options: EvaluationAgentsOptions): void {
  if (startsAgents(options)) return;
  const names = [
    ["provider", "--provider", "--provider"],
    ["memory", "--memory", "--eval-memory"],
    ["trialMemory", "--trial-memory", "--trial-memory"],
  ] as const;
  const given = names.find(([name]) => options[name] !== undefined);
  if (given === undefined) return;
  const [, option, own] = given;
  const problem = `it is for agents that are started here; start those that run elsewhere with "${own}"`;
  throw new AmalgamError("usage", `Cannot use "${option}" with "--agent" or "--nats": ${problem}`);
}

/** Does it with the agents that the user wants. `command`: what operators of NATS see. */
export async function withAgents<Result>(
  options: EvaluationAgentsOptions,
  {
    entry,
    command,
    slotsEach,
    memoryBytesEach,
  }: {
    readonly entry: URL;
    readonly command: string;
    /** Of agents that are started here: what their workers for merges may take. */
    readonly slotsEach: number;
    readonly memoryBytesEach: number;
  },
  act: (agents: AgentsWanted) => Promise<Result>,
): Promise<Result> {
  const { agent: addresses, agents: count, nats } = options;
  if (addresses.length > 0) return await act({ kind: "running", addresses });
  if (nats === undefined) return await act({ kind: "local", count, mode: "thread", entry, slotsEach, memoryBytesEach });
  return await onCluster({ ...options, nats }, command, async (bus) => {
    await using registry = await Registry.watch(bus, systemClock);
    return await act({ kind: "cluster", registry, maxWaitMs });
  });
}

/** Further words for agents that are started here. */
export function agentWordsOf({ memory, trialMemory }: EvaluationAgentsOptions): readonly string[] {
  return [
    ...(memory === undefined ? [] : ["--eval-memory", String(memory)]),
    ...(trialMemory === undefined ? [] : ["--trial-memory", String(trialMemory)]),
  ];
}
