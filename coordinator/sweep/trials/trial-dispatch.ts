import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { Leadership } from "../../dispatch/agents.js";
import type { AttemptContext, DispatchEvent } from "../../dispatch/dispatcher.js";
import { OpenDispatch } from "../../dispatch/open-dispatch.js";
import type { Statistics } from "../../dispatch/request.js";
import type { RetryPolicy } from "../../dispatch/retry.js";
import type { JobAgent, JobAgents } from "../../job/job-agents.js";
import { runTrialAttempt, type TrialAnswer } from "./attempt.js";
import { KeptBlobs } from "./kept-blobs.js";
import { TrialPlacement, type TrialWork } from "./placement.js";
import type { TrialRequest } from "./request.js";
import type { RunnerEvent } from "./runner-event.js";
import type { PlanStatistics } from "./statistics-cache.js";

export interface TrialDispatchOptions {
  readonly agents: JobAgents;
  /** What agents were asked whether they see. */
  readonly sources: readonly { readonly path: string }[];
  readonly leadership: Leadership;
  readonly waitForAgentsMs: number;
  readonly retry: Partial<RetryPolicy>;
  /** Ends all trials. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: RunnerEvent) => void;
}

/** A trial that is to be run. */
export interface AskedTrial extends TrialWork {
  readonly build: (attempt: { readonly epoch: number; readonly statistics: Statistics }) => TrialRequest;
  readonly statistics: PlanStatistics;
  /** Over the whole model. */
  readonly gathered: Statistics;
  readonly batches: number;
  readonly onProgress: (share: number) => void;
}

/** Who answered, and at which attempt. */
export interface AnsweredTrial extends TrialAnswer {
  readonly agent: JobAgent;
  readonly epoch: number;
}

/** How often in one attempt an agent may have forgotten what it was given. */
const maxForgotten = 3;

/** What the dispatcher keeps of each trial for the life of the sweep. */
type TrialUnit = Pick<TrialWork, "id" | "bytesRead" | "bytesWritten">;

/** Gives trials to agents: what each is sent, what it is believed, and what a failure leads to. */
export class TrialDispatch implements AsyncDisposable {
  readonly placement: TrialPlacement;
  readonly #options: TrialDispatchOptions;
  /** By number, those that run or wait. */
  readonly #asked = new Map<number, AskedTrial>();
  readonly #kept = new WeakMap<JobAgent, KeptBlobs>();
  readonly #fallbacks = new Set<string>();
  readonly #dispatch: OpenDispatch<TrialUnit, AnsweredTrial, JobAgent>;

  constructor(options: TrialDispatchOptions) {
    const { agents, signal, waitForAgentsMs, retry, sources } = options;
    this.#options = options;
    this.placement = new TrialPlacement(sources);
    this.#dispatch = new OpenDispatch({
      ...{ agents, signal, waitForAgentsMs, retry },
      placement: {
        refuses: ({ id }, agent) => this.#of(id, (trial) => this.placement.refuses(trial, agent)),
        remoteBytes: ({ id }, agent) => this.#of(id, (trial) => this.placement.remoteBytes(trial, agent)) ?? 0,
      },
      tensorsOf: ({ id }) => this.#of(id, ({ label }) => [label]) ?? [],
      onEvent: (event) => this.#tell(event),
      run: (attempt) => this.#attempt(attempt),
    });
  }

  /** Fails with the reason of the last attempt, or with the signal's. */
  async run(trial: AskedTrial, signal: AbortSignal): Promise<AnsweredTrial> {
    const { id, bytesRead, bytesWritten } = trial;
    this.#asked.set(id, trial);
    try {
      return await this.#dispatch.run({ id, bytesRead, bytesWritten }, signal);
    } finally {
      this.#asked.delete(id);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dispatch[Symbol.asyncDispose]();
  }

  async #attempt({
    unit,
    agent,
    epoch,
    signal,
    onProgress,
  }: AttemptContext<TrialUnit, JobAgent>): Promise<AnsweredTrial> {
    const trial = this.#asked.get(unit.id);
    if (trial === undefined) throw new AmalgamError("canceled", "The trial is not wanted any more");
    const { statistics, gathered, batches } = trial;
    const request = trial.build({ epoch, statistics: new Map([...gathered, ...statistics.known()]) });
    this.placement.merges(agent, trial);
    for (let forgotten = 0; ; forgotten += 1) {
      const kept = this.#keptBy(agent);
      try {
        await kept.give(request.blobs, signal);
        const answer = await runTrialAttempt(agent, unit, request, {
          ...{ signal, onProgress },
          onBatch: (done) => trial.onProgress(done / Math.max(1, batches)),
        });
        for (const [tensor, values] of answer.statistics) statistics.learn(tensor, values);
        this.#noteFallback(agent, answer);
        return { ...answer, agent, epoch };
      } catch (reason) {
        const error = explainMissing(AmalgamError.from(reason), request);
        if (error.code !== "inputs_missing" || forgotten === maxForgotten) {
          throw this.placement.judge(error, trial, agent, this.#options.agents.list);
        }
        kept.forget();
      }
    }
  }

  #keptBy(agent: JobAgent): KeptBlobs {
    let kept = this.#kept.get(agent);
    if (kept === undefined) {
      kept = new KeptBlobs(agent.client, this.#options.leadership, this.#options.signal);
      this.#kept.set(agent, kept);
    }
    return kept;
  }

  /** That an agent could not use what it would have liked best is said once. */
  #noteFallback({ name }: JobAgent, { facts: { provider, fallback } }: TrialAnswer): void {
    const key = `${name} ${provider}`;
    if (fallback === "" || this.#fallbacks.has(key)) return;
    this.#fallbacks.add(key);
    this.#options.onEvent({ type: "fallback", agent: name, provider, reason: fallback });
  }

  #tell(event: DispatchEvent<TrialUnit, JobAgent>): void {
    const { onEvent } = this.#options;
    if (event.type === "agent") onEvent({ type: "agent", agent: event.agent.name, state: event.state });
    else if (event.type === "waiting") onEvent({ type: "waiting", reason: event.reason });
    else if (event.type === "resumed") onEvent({ type: "resumed" });
    else if (event.type === "failed" && event.retryMs !== undefined) {
      const trial = this.#of(event.unit.id, ({ label }) => label) ?? "";
      onEvent({ type: "retry", trial, agent: event.agent.name, reason: event.error.message });
    }
  }

  #of<T>(id: number, what: (trial: AskedTrial) => T): T | undefined {
    const trial = this.#asked.get(id);
    return trial === undefined ? undefined : what(trial);
  }
}

/** An agent that can never hold all of a trial's blobs at once will never have them. */
function explainMissing(error: AmalgamError, { blobs }: TrialRequest): AmalgamError {
  const allowed = Number(error.details["allowed"]);
  const needed = blobs.reduce((total, { bytes }) => total + bytes, 0);
  if (error.code !== "inputs_missing" || !(needed > allowed)) return error;
  const message = `Cannot give an agent the batches and graphs of a trial: they have ${formatBytes(needed)}, and of its memory for trials it may hold ${formatBytes(allowed)} of them; give it more (--trial-memory), or the tasks fewer examples`;
  return new AmalgamError("out_of_memory", message, {
    cause: error,
    details: { ...error.details, needed: String(needed), allowed: String(allowed) },
  });
}
