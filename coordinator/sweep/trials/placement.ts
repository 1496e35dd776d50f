import type { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { Dispatchable, Placement } from "../../dispatch/dispatchable.js";
import { TooSmall } from "../../evaluate/too-small.js";
import type { JobAgent } from "../../job/job-agents.js";
import type { Plan } from "../../plan/types.js";

/** A trial as far as it matters where it runs. */
export interface TrialWork extends Dispatchable {
  readonly label: string;
  readonly plan: Plan;
  /** Hex. */
  readonly weights: string;
}

/** Weights that an agent is taken to have still: what it merged last. */
const recentWeights = 2;

/**
 * Trials go where their weights are from an earlier part of the same trial. Inputs are no matter: every agent holds them
 * after its first trial.
 */
export class TrialPlacement implements Placement<TrialWork, JobAgent> {
  /** By path: places in what agents were asked whether they see. */
  readonly #sources = new Map<string, number>();
  /** By agent. */
  readonly #merged = new WeakMap<JobAgent, string[]>();
  readonly #tooSmall = new TooSmall();

  /** `sources`: the files that agents were asked for, in that order. */
  constructor(sources: readonly { readonly path: string }[]) {
    for (const [i, { path }] of sources.entries()) this.#sources.set(path, i);
  }

  /** The agent is about to run it. */
  merges(agent: JobAgent, { weights }: TrialWork): void {
    const before = this.#merged.get(agent) ?? [];
    this.#merged.set(agent, [weights, ...before.filter((one) => one !== weights)].slice(0, recentWeights));
  }

  /** See {@link TooSmall.judge}. Memory that others use at the time says nothing about the agent. */
  judge(error: AmalgamError, work: TrialWork, agent: JobAgent, all: readonly JobAgent[]): AmalgamError {
    return isInUse(error) ? error : this.#tooSmall.judge(error, sizeOf(work), agent, all);
  }

  refuses(work: TrialWork, agent: JobAgent): string | undefined {
    const { description } = agent;
    if (description?.providers.length === 0) return "it runs no models (--no-eval)";
    if (description?.trialMemoryBytes === 0) return "it runs no trials (--trial-memory 0)";
    if (this.#tooSmall.has(sizeOf(work), agent)) return "it has too little memory for such a model (--trial-memory)";
    return this.cannotRead(work.plan, agent);
  }

  /** Why it cannot read what the plan is made from. */
  cannotRead(plan: Plan, { sight }: JobAgent): string | undefined {
    if (sight === undefined) return undefined;
    const unseen = plan.sources.find(({ path }) => {
      const place = this.#sources.get(path);
      return place !== undefined && !sight.has(place);
    });
    return unseen === undefined ? undefined : `it cannot read ${quote(unseen.path)}, or has another file there`;
  }

  /** The same share for all trials whose weights it has not: these keep their order. */
  remoteBytes({ weights, bytesRead, bytesWritten }: TrialWork, agent: JobAgent): number {
    return this.#merged.get(agent)?.includes(weights) === true ? 0 : bytesRead + bytesWritten;
  }
}

/** Whether an agent lacks memory only because other trials have it. */
export function isInUse({ code, details: { needed, allowed } }: AmalgamError): boolean {
  return code === "out_of_memory" && needed !== undefined && Number(needed) <= Number(allowed);
}

function sizeOf({ plan }: TrialWork): string {
  return String(plan.files.reduce((total, { bytes }) => total + bytes, 0));
}
