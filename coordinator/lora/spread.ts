import { AmalgamError } from "../../shared/errors.js";
import type { Agent } from "../dispatch/agents.js";

/** What of an agent decides where tasks go. */
type Slots = Pick<Agent, "slots" | "state" | "report">;

/** Another attempt at a task is worth it twice. */
const maxAttempts = 3;

const lookAgainMs = 50;

/**
 * Does every task on some agent, as many at once per agent as it has slots, in the given order. A failure that may pass is
 * tried again, elsewhere if there is an elsewhere; any other ends all. Stopped by the signal, with its reason.
 */
export async function spread<Task, A extends Slots>(
  tasks: readonly Task[],
  agents: readonly A[],
  act: (task: Task, agent: A, signal: AbortSignal) => Promise<void>,
  outer?: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const signal = outer === undefined ? failed.signal : AbortSignal.any([outer, failed.signal]);
  const queue = tasks.map((task) => ({ task, attempts: 0 }));
  let running = 0;
  let lastFailure: AmalgamError | undefined;

  const runSlot = async (agent: A): Promise<void> => {
    for (;;) {
      if (signal.aborted || agent.state === "lost" || agent.state === "draining") return;
      const next = agent.state === "ready" ? queue.shift() : undefined;
      if (next === undefined) {
        // An agent that is being asked again may be ready soon, and a task that runs elsewhere may come back.
        if (queue.length === 0 && running === 0) return;
        await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
        continue;
      }
      running += 1;
      try {
        await act(next.task, agent, signal);
      } catch (reason) {
        lastFailure = AmalgamError.from(reason);
        agent.report(lastFailure);
        const attempts = next.attempts + 1;
        if (!lastFailure.retryable || attempts === maxAttempts) failed.abort(lastFailure);
        else queue.push({ ...next, attempts });
      } finally {
        running -= 1;
      }
    }
  };

  await Promise.all(agents.flatMap((agent) => Array.from({ length: agent.slots }, () => runSlot(agent))));
  if (outer?.aborted) throw AmalgamError.from(outer.reason);
  if (failed.signal.aborted) throw AmalgamError.from(failed.signal.reason);
  if (queue.length > 0) throw lastFailure ?? new AmalgamError("agent_lost", "All agents are lost");
}
