import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { Leadership } from "../../dispatch/agents.js";
import type { AttemptContext, DispatchEvent } from "../../dispatch/dispatcher.js";
import { OpenDispatch } from "../../dispatch/open-dispatch.js";
import type { Statistics } from "../../dispatch/request.js";
import type { RetryPolicy } from "../../dispatch/retry.js";
import type { JobAgent, JobAgents } from "../../job/job-agents.js";
import { joinAnswers, runTrialAttempt, type TrialAnswer, type TrialAttemptOptions } from "./attempt.js";
import { divideRequest } from "./divide.js";
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
  /** What agents may hold of batches and graphs, as far as they have said. */
  readonly #blobBytes = new WeakMap<JobAgent, number>();
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
    let done = 0;
    const ask = async (part: TrialRequest): Promise<TrialAnswer> => {
      const answer = await this.#ask(agent, part, signal, {
        ...{ unit, onProgress },
        onBatch: (count) => trial.onProgress((done + count) / Math.max(1, batches)),
      });
      done += batchesOf(part);
      return answer;
    };
    try {
      const answer = await this.#inParts(agent, request, ask);
      for (const [tensor, values] of answer.statistics) statistics.learn(tensor, values);
      this.#noteFallback(agent, answer);
      return { ...answer, agent, epoch };
    } catch (reason) {
      throw this.placement.judge(AmalgamError.from(reason), trial, agent, this.#options.agents.list);
    }
  }

  /** All at once, or some batches after others where the agent can never hold all of them. */
  async #inParts(
    agent: JobAgent,
    request: TrialRequest,
    ask: (part: TrialRequest) => Promise<TrialAnswer>,
  ): Promise<TrialAnswer> {
    const isTooMuch = (allowed: number): boolean => bytesOf(request) > allowed;
    let allowed = this.#blobBytes.get(agent) ?? Number.POSITIVE_INFINITY;
    if (!isTooMuch(allowed)) {
      try {
        return await ask(request);
      } catch (reason) {
        const error = AmalgamError.from(reason);
        allowed = Number(error.details["allowed"]);
        if (error.code !== "inputs_missing" || !isTooMuch(allowed)) throw error;
        this.#blobBytes.set(agent, allowed);
      }
    }
    const answers: TrialAnswer[] = [];
    for (const part of divideRequest(request, allowed / agent.slots)) answers.push(await ask(part));
    return joinAnswers(answers);
  }

  /** Hands over what the agent lacks, again where it has forgotten it, and runs the trial. */
  async #ask(
    agent: JobAgent,
    request: TrialRequest,
    signal: AbortSignal,
    { unit, ...listeners }: { readonly unit: TrialUnit } & Pick<TrialAttemptOptions, "onProgress" | "onBatch">,
  ): Promise<TrialAnswer> {
    const kept = this.#keptBy(agent);
    for (let forgotten = 0; ; forgotten += 1) {
      try {
        await kept.give(request.blobs, signal);
        return await runTrialAttempt(agent, unit, request, { ...listeners, signal });
      } catch (reason) {
        const error = AmalgamError.from(reason);
        if (error.code !== "inputs_missing") throw error;
        kept.forget();
        if (forgotten === maxForgotten || bytesOf(request) > Number(error.details["allowed"])) {
          throw batchesOf(request) > 1 ? error : explainMissing(error, request);
        }
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

function batchesOf({ tasks }: TrialRequest): number {
  return tasks.reduce((total, { batches }) => total + batches.size, 0);
}

function bytesOf({ blobs }: TrialRequest): number {
  return blobs.reduce((total, { bytes }) => total + bytes, 0);
}

/** An agent that can never hold a batch and its graphs at once will never run it. */
function explainMissing(error: AmalgamError, request: TrialRequest): AmalgamError {
  const [allowed, needed] = [Number(error.details["allowed"]), bytesOf(request)];
  if (!(needed > allowed)) return error;
  const message = `Cannot give an agent a batch of a trial: it has ${formatBytes(needed)} with its graphs, and of its memory for trials the agent may hold ${formatBytes(allowed)} of such; give it more (--trial-memory), or make batches smaller with "batch" in the task file`;
  return new AmalgamError("out_of_memory", message, {
    cause: error,
    details: { ...error.details, needed: String(needed), allowed: String(allowed) },
  });
}
