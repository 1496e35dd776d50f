import type { Security } from "../../shared/rpc/security.js";
import type { AgentsWanted } from "../job/types.js";

/** Which agents run models, and how. */
export interface ModelAgents {
  readonly agents: AgentsWanted;
  /** Execution providers of agents that are started for it, comma-separated. @default "cpu" */
  readonly provider?: string | undefined;
  /**
   * That a model runs on, on every agent alike: the last bits of a score depend on them. Default: the cores here, or of the
   * smallest of the agents that run elsewhere.
   */
  readonly threads?: number | undefined;
  /** Further words for agents that are started for it. */
  readonly agentWords?: readonly string[] | undefined;
  readonly security?: Security | undefined;
  readonly signal?: AbortSignal | undefined;
}
