import { createHash, randomUUID } from "node:crypto";
import { toSafeNumber } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import { unlessAborted } from "../../../shared/unless-aborted.js";
import type { Statistics } from "../../dispatch/request.js";
import type { RetryPolicy } from "../../dispatch/retry.js";
import type { BatchOutput } from "../../evaluate/types.js";
import type { JobAgents } from "../../job/job-agents.js";
import type { Plan, PlannedSource } from "../../plan/types.js";
import type {
  PlannedTrial,
  ScoredTask,
  Segment,
  SegmentResult,
  TappedExamples,
  TrialRun,
  TrialRunner,
} from "../types.js";
import { gatherModelwide } from "./gather-modelwide.js";
import type { PreparedModel, PreparedModels, PreparedPart } from "./prepared-model.js";
import type { RecipePlanner } from "./recipe-planner.js";
import { createTrialRequests } from "./request.js";
import type { RunnerEvent } from "./runner-event.js";
import { type PlanStatistics, StatisticsCache } from "./statistics-cache.js";
import { type AnsweredTrial, type AskedTrial, TrialDispatch } from "./trial-dispatch.js";

export interface TrialsParts {
  readonly planner: RecipePlanner;
  readonly prepared: PreparedModels;
  readonly agents: JobAgents;
  /** What agents were asked whether they see. */
  readonly sources: readonly PlannedSource[];
  readonly tasks: readonly ScoredTask[];
  /** That models run on. */
  readonly threads: number;
  readonly waitForAgentsMs: number;
  readonly retry: Partial<RetryPolicy>;
  /** Aborted when the trials are disposed of. */
  readonly closing: AbortController;
  /** Ends all trials; follows `closing`. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: RunnerEvent) => void;
}

/** What is behind a {@link PlannedTrial}. */
interface Planned {
  readonly plan: Plan;
  readonly model: PreparedModel;
  readonly seconds: number;
}

/** Plans trials and runs them: a recipe → plan → request → agent → answers → records. */
export class Trials implements TrialRunner {
  readonly tasks: readonly ScoredTask[];
  readonly #parts: TrialsParts;
  readonly #leadership = { job: `sweep ${randomUUID()}`, fence: 0n };
  readonly #planned = new WeakMap<PlannedTrial, Planned>();
  readonly #statistics = new StatisticsCache();
  /** Over the whole model, while they are being gathered. */
  readonly #gathering = new Map<string, Promise<Statistics>>();
  readonly #dispatch: TrialDispatch;
  #count = 0;

  constructor(parts: TrialsParts) {
    this.#parts = parts;
    this.tasks = parts.tasks;
    this.#dispatch = new TrialDispatch({ ...parts, leadership: this.#leadership });
  }

  get threads(): number {
    return this.#parts.threads;
  }

  get agents(): readonly string[] {
    return this.#parts.agents.list.filter(({ state }) => state === "ready").map(({ name }) => name);
  }

  async plan(recipeText: string): Promise<PlannedTrial> {
    const started = performance.now();
    const { planner, prepared, threads } = this.#parts;
    const { plan, weights } = await planner.plan(recipeText);
    const model = await prepared.of(plan);
    const segments = model.parts.map(({ rows: { task, part, rows }, digest }): Segment => {
      const key = createHash("sha256")
        .update(JSON.stringify([weights, digest, threads]))
        .digest("hex");
      return { task: task.name, part, examples: rows.length, key };
    });
    const trial = { weights, segments, warnings: plan.warnings };
    this.#planned.set(trial, { plan, model, seconds: (performance.now() - started) / 1000 });
    return trial;
  }

  async run(
    trial: PlannedTrial,
    segments: readonly Segment[],
    options: Parameters<TrialRunner["run"]>[2],
  ): Promise<TrialRun> {
    const { model, seconds } = this.#behind(trial);
    const signal = AbortSignal.any([options.signal, this.#parts.signal]);
    const parts = segments.map((segment) => partOf(model, segment));
    const answer = await this.#ask(trial, parts, { ...options, signal });
    const results: SegmentResult[] = [];
    for (const [i, part] of parts.entries()) {
      const segment = segments[i];
      if (segment === undefined) continue;
      const outputs = outputsOf(answer, i);
      // A module of the author's may take for ever.
      const records = part.named(await unlessAborted(signal, part.prepared.finish(outputs)));
      const answers = options.answers ? part.prepared.answers?.(outputs) : undefined;
      results.push({ segment, records, ...(answers === undefined ? {} : { answers }) });
    }
    return { segments: results, facts: factsOf(answer, seconds) };
  }

  async tap(
    trial: PlannedTrial,
    { task, examples, label, ...options }: Parameters<NonNullable<TrialRunner["tap"]>>[1],
  ): Promise<TappedExamples> {
    const signal = AbortSignal.any([options.signal, this.#parts.signal]);
    const part = await this.#parts.prepared.tapped(this.#behind(trial).plan, task, examples);
    const outputs = outputsOf(await this.#ask(trial, [part], { signal, label }), 0);
    const numbers = outputs.flatMap((output) => (output.kind === "vectors" ? [output.values] : []));
    return { taps: part.prepared.graphs.taps ?? [], examples: numbers };
  }

  #behind(trial: PlannedTrial): Planned {
    const planned = this.#planned.get(trial);
    if (planned === undefined) throw new RangeError("The trial was planned by another runner");
    return planned;
  }

  async #ask(
    trial: PlannedTrial,
    parts: readonly PreparedPart[],
    { signal, label, onProgress }: Omit<Parameters<TrialRunner["run"]>[2], "answers">,
  ): Promise<AnsweredTrial> {
    const { plan, model } = this.#behind(trial);
    this.#count += 1;
    const id = this.#count;
    const build = await createTrialRequests({
      ...{ plan, weights: trial.weights, trial: id, parts },
      ...{ leadership: this.#leadership, threads: this.#parts.threads },
    });
    const statistics = this.#statistics.of(plan);
    const gathered = await this.#gatherModelwide(plan, statistics, signal);
    const work: AskedTrial = {
      ...{ id, label, plan, weights: trial.weights, build, statistics, gathered },
      ...sizeOf(plan, model, parts),
      batches: parts.reduce((total, { prepared }) => total + prepared.batches.length, 0),
      onProgress: (share) => onProgress?.(share),
    };
    return this.#dispatch.run(work, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.closing.abort(new AmalgamError("canceled", "The sweep has ended"));
    await this.#dispatch[Symbol.asyncDispose]();
    await Promise.allSettled(this.#gathering.values());
  }

  /** Those that are known already, or the same that another trial is having gathered. */
  async #gatherModelwide(plan: Plan, statistics: PlanStatistics, signal: AbortSignal): Promise<Statistics> {
    const missing = statistics.missingModelwide();
    if (missing.size === 0) return statistics.known();
    const key = statistics.modelwideKey;
    let gathering = this.#gathering.get(key);
    if (gathering === undefined) {
      const { agents, signal: ending, waitForAgentsMs, retry } = this.#parts;
      gathering = gatherModelwide(plan, missing, {
        ...{ agents, signal: ending, waitForAgentsMs, retry, job: this.#leadership.job },
        refuses: (agent) => this.#dispatch.placement.cannotRead(plan, agent),
      }).finally(() => this.#gathering.delete(key));
      this.#gathering.set(key, gathering);
    }
    const gathered = await unlessAborted(signal, gathering);
    for (const [tensor, values] of gathered) statistics.learn(tensor, values);
    return gathered;
  }
}

/** Of one part: its batches' in their order. */
function outputsOf({ outputs }: AnsweredTrial, part: number): readonly BatchOutput[] {
  const found = [...(outputs.get(part) ?? [])].sort(([a], [b]) => a - b);
  return found.map(([, output]) => output);
}

function partOf(model: PreparedModel, { task, part }: Segment): PreparedPart {
  const found = model.parts.find(({ rows }) => rows.task.name === task && rows.part === part);
  if (found === undefined) throw new RangeError(`No part ${part} of task "${task}"`);
  return found;
}

/** In bytes, by which an attempt is given time: what is read and merged, and the work of evaluating as of a slice. */
function sizeOf(
  plan: Plan,
  { parameters }: PreparedModel,
  parts: readonly PreparedPart[],
): { readonly bytesRead: number; readonly bytesWritten: number } {
  let bytesRead = 0;
  for (const { inputs } of plan.tensors) for (const { bytes } of inputs) bytesRead += bytes;
  for (const { prepared } of parts) {
    for (const { cost, bytes } of prepared.batches) bytesRead += bytes + Math.ceil((2 * parameters * cost) / 1000);
  }
  return { bytesRead, bytesWritten: plan.files.reduce((total, { bytes }) => total + bytes, 0) };
}

function factsOf({ facts, agent, epoch }: AnsweredTrial, planSeconds: number): TrialRun["facts"] {
  const { provider, waitSeconds, readSeconds, mergeSeconds, loadSeconds, runSeconds, peakBytes } = facts;
  return {
    ...{ agent: agent.name, provider, attempts: epoch },
    seconds: {
      plan: planSeconds,
      wait: waitSeconds,
      read: readSeconds,
      merge: mergeSeconds,
      load: loadSeconds,
      run: runSeconds,
    },
    peakBytes: toSafeNumber(peakBytes),
    budgetBytes: agent.description?.trialMemoryBytes ?? 0,
  };
}
