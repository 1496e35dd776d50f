import { dirname } from "node:path";
import { isRemote } from "../../shared/remote/url.js";
import type { Security } from "../../shared/rpc/security.js";
import type { Staging } from "../assemble/staging.js";
import type { Leadership } from "../dispatch/agents.js";
import { locateSources } from "../dispatch/locate.js";
import type { Plan } from "../plan/types.js";
import { type Mirrors, placesOf } from "../sources/mirror.js";
import { type Crew, connectCrew, locateTimeoutMs } from "./connect-crew.js";
import type { AgentsWanted } from "./types.js";

/** What the agents of a job are told about it. */
export interface CrewContext {
  readonly plan: Plan;
  readonly staging: Staging;
  /** Goes with every call; see `Leadership` in agent.proto. */
  readonly leadership: Leadership;
  readonly security: Security | undefined;
  readonly signal: AbortSignal | undefined;
  readonly mirrors: Mirrors["files"] | undefined;
  /** An agent of the cluster must not be used. */
  readonly onUnfit: (agent: string, reason: string) => void;
}

/** The agents of a merge. Those that are started here see just its folders. */
export function assembleCrew(wanted: AgentsWanted, context: CrewContext): Promise<Crew> {
  const { plan, staging, leadership, mirrors, ...connection } = context;
  const places = plan.sources.map(({ path }) => mirrors?.get(path)?.path ?? path);
  const roots = new Set([...places, ...staging.paths].map((path) => (isRemote(path) ? path : dirname(path))));
  return connectCrew(wanted, {
    ...connection,
    leadership,
    roots: [...roots],
    words: ["--no-eval"],
    look: (agent, signal) =>
      locateSources(agent, plan, {
        signal,
        leadership,
        probe: staging.probe,
        timeoutMs: locateTimeoutMs,
        ...(mirrors && { placeOf: placesOf(plan, { files: mirrors }) }),
      }),
  });
}
