import { EarlyAgents } from "../dispatch/embedded-agents.js";
import type { RunOptions } from "./merge.js";
import type { Terminal } from "./terminal.js";

/** The agents that a command will start for itself, if it will: begun before the command's own modules are loaded. */
export function startEarly(
  { agent, agents: count, agentProcesses }: Pick<RunOptions, "agent" | "agents" | "agentProcesses">,
  { agentEntry: entry, startsEarly = false }: Pick<Terminal, "agentEntry" | "startsEarly">,
): EarlyAgents | undefined {
  if (!startsEarly || agent !== undefined) return undefined;
  return new EarlyAgents({ count, mode: agentProcesses ? "process" : "thread", entry });
}
