import { createHash } from "node:crypto";
import { AmalgamError } from "../../shared/errors.js";
import { type AppraiseContext, appraise, evidenceOf } from "./appraise.js";
import { endsSweep } from "./ends-sweep.js";
import { type Gatherer, segmentsOf } from "./gather.js";
import { exampleScores, type Judgement, type TaskEvidence } from "./objectives.js";
import type { Outcome, TrialRequest } from "./search/searching.js";
import { pointKey } from "./space.js";
import type { SweepStore } from "./store/store.js";
import type { Teachers } from "./teachers.js";
import type { PlannedTrial, Segment, SweepSpec, TrialFacts, TrialRecord, TrialRunner } from "./types.js";

export interface TrialRunsOptions {
  readonly spec: SweepSpec;
  readonly runner: TrialRunner;
  readonly store: SweepStore;
  readonly gatherer: Gatherer;
  readonly teachers: Teachers;
  readonly context: AppraiseContext;
  readonly signal: AbortSignal;
  /** May fail with what ends the sweep. */
  readonly onRecord?: (record: TrialRecord) => Promise<void>;
  readonly onProgress?: (trial: number, share: number) => void;
}

/** A trial that is under way or on record. */
export interface BegunTrial {
  /** Examples that are run for it. */
  readonly fresh: number;
  /** Fails only with what ends the sweep. */
  readonly recorded: Promise<TrialRecord>;
}

interface Attempted {
  readonly planned?: PlannedTrial;
  readonly segments: readonly Segment[];
  readonly key: string;
  readonly fresh: number;
  readonly facts?: TrialFacts | undefined;
  readonly judgement?: Judgement;
  readonly failure?: Failure;
}

type Failure = NonNullable<TrialRecord["failure"]>;

/** Turns requests of a search into trials on record: point → recipe → plan → segments → judgement. */
export class TrialRuns {
  readonly #options: TrialRunsOptions;
  /** Trials that failed, by key: an equal one is not tried again. */
  readonly #failed = new Map<string, Failure>();

  constructor(options: TrialRunsOptions) {
    this.#options = options;
  }

  /** Returns when it is decided which examples are run for the trial. */
  async begin(trial: number, request: TrialRequest): Promise<BegunTrial> {
    const { store } = this.#options;
    const known = store.told(trial);
    if (known !== undefined) {
      this.#assertSame(known, request);
      if (known.failure !== undefined) this.#failed.set(known.key, known.failure);
      return { fresh: known.fresh, recorded: this.#restore(known) };
    }
    return this.#begin(trial, request);
  }

  /** Once more a trial that failed. */
  async again({ trial, point, rung, reference, label }: TrialRecord): Promise<BegunTrial> {
    const told = { ...(reference === undefined ? {} : { reference }), ...(label === undefined ? {} : { label }) };
    return this.#begin(trial, { point, rung, ...told }, { retried: true });
  }

  /** What the search is told of a trial on record. */
  async outcome(trial: number): Promise<Outcome> {
    const { store, context, spec } = this.#options;
    const record = store.told(trial);
    if (record === undefined) throw new TypeError(`Trial ${trial} is not on record`);
    const { point, rung, failure, losses, loss, violation, segments } = record;
    const known = { trial, point, rung, losses, loss, violation };
    if (failure !== undefined) return { ...known, failure: failure.message, examples: new Map() };
    const evidence = await evidenceOf(context, segments);
    const answers = spec.search.kind.answers === true ? { answers: mapOf(evidence, (one) => one.answers) } : {};
    return { ...known, examples: mapOf(evidence, (one) => exampleScores(one, spec.objectives)), ...answers };
  }

  /** A record whose examples were lost, as in a file that was damaged, gets them again. */
  async #restore(known: TrialRecord): Promise<TrialRecord> {
    const { runner, gatherer, store, signal } = this.#options;
    const { trial, segments } = known;
    if (known.status === "done" && segments.some((segment) => store.runFor(segment) === undefined)) {
      const planned = await runner.plan(this.#textOf(known));
      await gatherer.gather({ planned, segments, trial, signal, label: `trial ${trial}` }).complete;
    }
    return known;
  }

  #textOf({ point, reference }: Pick<TrialRequest, "point" | "reference">): string {
    const { template } = this.#options.spec;
    return reference === undefined ? template.render(point) : template.renderReference(reference);
  }

  async #begin(trial: number, request: TrialRequest, mark: { readonly retried?: true } = {}): Promise<BegunTrial> {
    const { spec, context, onRecord, store } = this.#options;
    const [startedAt, started] = [new Date().toISOString(), performance.now()];
    const { point, label, reference } = request;
    const rung = request.rung ?? (context.tasks[0]?.rungs.length ?? 1) - 1;
    const { fresh, attempted } = await this.#attempt(trial, { ...request, rung }, mark.retried === true);
    const record = attempted.then(
      async ({ planned, segments, key, facts, judgement, failure }): Promise<TrialRecord> => {
        const none = spec.objectives.map(() => Number.NaN);
        if (failure !== undefined) this.#failed.set(key, failure);
        const judged =
          failure === undefined && judgement !== undefined
            ? judgement
            : { objectives: {}, losses: none, loss: Number.NaN, violation: 0, metrics: judgement?.metrics ?? {} };
        const made: TrialRecord = {
          trial,
          ...(label === undefined ? {} : { label }),
          ...{ point, rung },
          ...(reference === undefined ? {} : { reference }),
          key,
          status: failure === undefined ? "done" : "failed",
          ...(failure === undefined ? {} : { failure }),
          ...(planned === undefined ? {} : { weights: planned.weights }),
          ...{ objectives: judged.objectives, losses: judged.losses, loss: judged.loss, violation: judged.violation },
          ...{ metrics: judged.metrics, examples: examplesIn(segments), fresh, segments },
          ...(facts === undefined ? {} : { facts }),
          ...mark,
          ...{ startedAt, seconds: (performance.now() - started) / 1000 },
        };
        await store.addTrial(made);
        await onRecord?.(made);
        return made;
      },
    );
    return { fresh, recorded: record };
  }

  async #attempt(
    trial: number,
    request: TrialRequest & { readonly rung: number },
    isRetry: boolean,
  ): Promise<{ readonly fresh: number; readonly attempted: Promise<Attempted> }> {
    const { runner, gatherer, teachers, context, signal, onProgress } = this.#options;
    const { rung } = request;
    const text = this.#textOf(request);
    let planned: PlannedTrial;
    try {
      planned = await runner.plan(text);
    } catch (reason) {
      const failure = this.#failureOf(reason);
      return { fresh: 0, attempted: Promise.resolve({ segments: [], key: digestOf([text]), fresh: 0, failure }) };
    }
    const segments = segmentsOf(planned, rung);
    const key = digestOf([planned.weights, ...segments.map((segment) => segment.key)]);
    const failure = isRetry ? undefined : this.#failed.get(key);
    const told = { planned, segments, key };
    if (failure !== undefined) return { fresh: 0, attempted: Promise.resolve({ ...told, fresh: 0, failure }) };
    const lessons = await teachers.begin(rung, signal);
    const { fresh, complete } = gatherer.gather({
      ...{ planned, segments, trial, signal, label: `trial ${trial}` },
      ...(onProgress === undefined ? {} : { onProgress: (share) => onProgress(trial, share) }),
    });
    const attempted = Promise.all([complete, lessons.complete]).then(
      async ([facts]): Promise<Attempted> => {
        const { judgement } = await appraise(context, segments);
        const { flaw } = judgement;
        const flawed = flaw === undefined ? {} : { failure: { code: "not_a_number", message: flaw } };
        return { ...told, fresh, facts, judgement, ...flawed };
      },
      (reason: unknown): Attempted => ({ ...told, fresh, failure: this.#failureOf(reason) }),
    );
    return { fresh, attempted };
  }

  /** What a trial failed with; throws what ends the sweep. */
  #failureOf(reason: unknown): Failure {
    const { signal, runner } = this.#options;
    const error = AmalgamError.from(reason);
    if (signal.aborted || endsSweep(error) || runner.agents.length === 0) throw error;
    return { code: error.code, message: error.message };
  }

  /** The search must propose what it did, or what it was told would be of other trials. */
  #assertSame(known: TrialRecord, { point, rung, reference }: TrialRequest): void {
    const { spec, context, store } = this.#options;
    const wanted = rung ?? (context.tasks[0]?.rungs.length ?? 1) - 1;
    const isSame = pointKey(spec.space, known.point) === pointKey(spec.space, point);
    if (isSame && known.rung === wanted && known.reference === reference) return;
    const problem = `trial ${known.trial} on record is not the one that the search begins with`;
    const remedy = `it was begun by Amalgam ${store.state.amalgam}; go on with that version, or begin anew with "--overwrite"`;
    throw new AmalgamError("output_refused", `Cannot go on with the sweep in "${store.folder}": ${problem}; ${remedy}`);
  }
}

export function examplesIn(segments: readonly Segment[]): number {
  return segments.reduce((sum, { examples }) => sum + examples, 0);
}

function mapOf<Value>(
  evidence: readonly TaskEvidence[],
  of: (evidence: TaskEvidence) => Value | undefined,
): ReadonlyMap<string, Value> {
  return new Map(
    evidence.flatMap((one) => {
      const value = of(one);
      return value === undefined ? [] : [[one.task.name, value] as const];
    }),
  );
}

function digestOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
