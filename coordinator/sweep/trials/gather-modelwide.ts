import { runAttempt } from "../../dispatch/attempt.js";
import { dispatch } from "../../dispatch/dispatcher.js";
import { gatherStatistics } from "../../dispatch/gather.js";
import { createRequestBuilder, type Statistics } from "../../dispatch/request.js";
import type { RetryPolicy } from "../../dispatch/retry.js";
import type { JobAgent, JobAgents } from "../../job/job-agents.js";
import type { Plan } from "../../plan/types.js";
import { chooseUnitBytes, cutUnits } from "../../plan/units.js";

export interface GatherModelwideOptions {
  readonly agents: JobAgents;
  /** The job that agents are told of. */
  readonly job: string;
  readonly signal: AbortSignal;
  readonly refuses: (agent: JobAgent) => string | undefined;
  /** @default 0 */
  readonly waitForAgentsMs: number;
  readonly retry: Partial<RetryPolicy>;
}

/** Gathers the statistics of tensors that are judged by all of their model, on all agents, as a merge does. */
export function gatherModelwide(
  plan: Plan,
  tensors: ReadonlySet<number>,
  { agents, job, signal, refuses, waitForAgentsMs, retry }: GatherModelwideOptions,
): Promise<Statistics> {
  const slots = agents.list.reduce((total, agent) => total + agent.slots, 0);
  const units = cutUnits(plan, { unitBytes: chooseUnitBytes(plan, slots), tensors, forGathering: true });
  const build = createRequestBuilder(plan, job);
  return gatherStatistics({
    plan,
    tensors,
    unitsOf: () => units,
    run: (pass, gathering, statistics) =>
      dispatch(gathering, {
        ...{ agents, signal, order: "given", waitForAgentsMs, retry },
        placement: { refuses: (_, agent) => refuses(agent) },
        tensorsOf: ({ pieces }) => pieces.map(({ tensor }) => plan.tensors[tensor]?.name ?? ""),
        run: ({ unit, agent, epoch, signal: ended, onProgress }) => {
          const request = build(unit, { epoch, task: { kind: "gather", pass }, statistics });
          return runAttempt(agent, request, { signal: ended, onProgress });
        },
      }),
  });
}
