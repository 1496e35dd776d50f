import { availableParallelism } from "node:os";
import type { Crew } from "../job/connect-crew.js";
import type { EvaluationJob } from "./job.js";
import type { GraphTarget } from "./prepare-context.js";

/** What decides the last bits of a score besides the model and its inputs, and so is the same on every agent. */
export interface CommonGround {
  readonly target: GraphTarget;
  /** That a model runs on. */
  readonly threads: number;
}

/** `running`: the crew, unless its agents are still to be started here. */
export function commonGround(
  { provider = "cpu", threads }: Pick<EvaluationJob, "provider" | "threads">,
  running: Crew | undefined,
): CommonGround {
  const providers = running === undefined ? [provider.split(",")] : providersOf(running);
  return { target: targetOf(providers), threads: threads ?? smallest(running) ?? availableParallelism() };
}

/** Graphs for the CPU are faster there; as soon as one agent may use something else, all get those that run anywhere. */
function targetOf(providers: readonly (readonly string[])[]): GraphTarget {
  return providers.length > 0 && providers.every((names) => names.every((name) => name.trim() === "cpu"))
    ? "cpu"
    : "any";
}

/** Threads that all agents have cores for, as far as they are there already. */
function smallest(crew: Crew | undefined): number | undefined {
  const threads = crew?.agents.list.flatMap(({ description }) => description?.evalThreads || []) ?? [];
  return threads.length === 0 ? undefined : Math.min(...threads);
}

function providersOf({ agents }: Crew): readonly (readonly string[])[] {
  return agents.list.map(({ description }) => description?.providers ?? []);
}
