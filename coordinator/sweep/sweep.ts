import { join } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { packageVersion } from "../../shared/rpc/version.js";
import type { AppraiseContext } from "./appraise.js";
import { bestRecipe } from "./best-recipe.js";
import { usedUp } from "./budget.js";
import { commonFailure, maxFailuresFromStart } from "./common-failure.js";
import { conclude } from "./conclude.js";
import { type Course, type DrivePorts, drive } from "./drive.js";
import { finishedResult } from "./finished-result.js";
import { finish, finishers } from "./finishers.js";
import { Gatherer } from "./gather.js";
import type { SweepEvent, SweepJob } from "./job.js";
import { layersOf } from "./layers/read-layers.js";
import { assertLossesFit } from "./losses/assert-losses-fit.js";
import { answerLosses } from "./losses/losses.js";
import { Notes } from "./notes.js";
import { openSweep } from "./open-sweep.js";
import { isBetter, ranked } from "./rank.js";
import { taskVectorsOf } from "./recipe-task-vectors.js";
import type { SweepResult } from "./result.js";
import { TrialRuns } from "./run-trials.js";
import { assertSameInputs } from "./same-inputs.js";
import { type Searching, start } from "./search/searching.js";
import { searchContext } from "./search-context.js";
import { startPoint } from "./space.js";
import { Stopwatch } from "./stopwatch.js";
import { toJson } from "./store/json.js";
import { replaceFile } from "./store/state.js";
import { type SweepStore, sweepFiles } from "./store/store.js";
import { Teachers } from "./teachers.js";
import { openTrialRunner } from "./trials/runner.js";
import type { SweepSpec, TrialRecord, TrialRunner } from "./types.js";

export type { SweepEvent, SweepJob } from "./job.js";
export type { SweepResult } from "./result.js";

/** Trials in a row that ask for nothing new: the search has been everywhere it can go. */
const maxIdleTrials = 200;

/** After a crash no more of the time at work than this is forgotten. */
const secondsBetweenStates = 5;

/** Trials under way at once at least; each holds a plan. */
const fewestAtOnce = 64;

/**
 * Sweep file → points → recipes → trials on agents → records → a best recipe. Interrupted at any point, the same call goes on
 * where it was: the search is run again from its start, and what is on record answers at once.
 */
export async function runSweep(job: SweepJob): Promise<SweepResult> {
  const { spec } = job;
  await using store = await openSweep(job);
  const finished = await finishedResult(job, store);
  if (finished !== undefined) return finished;
  await using runner = await (job.openRunner ?? openTrialRunner)(spec, {
    ...{ agents: job.agents, provider: job.provider, agentWords: job.agentWords, security: job.security },
    ...{ threads: job.threads ?? store.state.threads, signal: job.signal },
    onEvent: (event) => job.onEvent?.({ type: "runner", event }),
  });
  return await new Sweep(job, store, runner).run();
}

class Sweep {
  readonly #job: SweepJob;
  readonly #spec: SweepSpec;
  readonly #store: SweepStore;
  readonly #runner: TrialRunner;
  readonly #gatherer: Gatherer;
  readonly #teachers: Teachers;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #stopwatch: Stopwatch;
  readonly #notes = new Notes();
  #best: TrialRecord | undefined;
  #commonFailure: AmalgamError | undefined;
  #examples = 0;
  #idle = 0;

  constructor(job: SweepJob, store: SweepStore, runner: TrialRunner) {
    const { spec, signal } = job;
    const isByAnswers = spec.objectives.some(({ kind }) => kind === "loss") || spec.search.kind.answers === true;
    const isNeeded = answerLosses.some((loss) => {
      return loss.needsTeacher && spec.objectives.some((one) => one.kind === "loss" && one.loss === loss.name);
    });
    this.#job = job;
    this.#spec = spec;
    this.#store = store;
    this.#runner = runner;
    this.#gatherer = new Gatherer(runner, store, isByAnswers);
    this.#teachers = new Teachers(spec, { runner, gatherer: this.#gatherer, isNeeded });
    this.#signal = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    this.#stopwatch = new Stopwatch(store.state.activeSeconds);
    this.#best = ranked(store.latest)[0];
  }

  async run(): Promise<SweepResult> {
    try {
      return await this.#run();
    } catch (reason) {
      // They are run again when whatever is wrong with all of them is put right.
      if (reason === this.#commonFailure) await this.#store.forgetTrials();
      // What it was asked, not what became of the calls that were under way.
      throw this.#job.signal?.aborted === true ? AmalgamError.from(this.#job.signal.reason) : reason;
    } finally {
      await this.#store.update({ activeSeconds: this.#stopwatch.seconds });
    }
  }

  async #run(): Promise<SweepResult> {
    const { template, search, space } = this.#spec;
    // A recipe that is wrong everywhere is found out before anything is run.
    const { warnings } = await this.#runner.plan(template.render(startPoint(space)));
    for (const message of warnings) this.#tell({ type: "note", message });
    for (const message of this.#spec.warnings ?? []) this.#note(message);
    assertLossesFit(this.#spec, this.#runner.tasks, answerLosses);
    await assertSameInputs(this.#spec, this.#store, this.#runner);
    // Wherever it goes on, it is with as many: others would give other last bits.
    await this.#store.update({ threads: this.#runner.threads });
    const context: AppraiseContext = {
      ...{ spec: this.#spec, tasks: this.#runner.tasks, store: this.#store, losses: answerLosses },
      answers: this.#gatherer.answers,
      teachers: (task, part) => this.#teachers.segments(task, part),
    };
    const taskVectors = await taskVectorsOf(this.#spec, this.#signal);
    const layers = await layersOf(this.#spec, {
      ...{ runner: this.#runner, folder: this.#store.folder, signal: this.#signal },
    });
    const searching = search.kind.search(
      searchContext(this.#spec, context.tasks, {
        losses: answerLosses,
        ...{ taskVectors, layers },
        note: (message) => this.#note(message),
      }),
      search.options,
    );
    const { trials: recorded, folder, state } = this.#store;
    const about = { search: search.kind.name, dimensions: space.length };
    const best = this.#best === undefined ? {} : { best: this.#best };
    const spent = {
      examples: this.#store.latest.reduce((sum, { fresh }) => sum + fresh, 0),
      minutes: state.activeSeconds / 60,
    };
    this.#tell({ type: "started", folder, ...about, recorded, spent, budget: state.budget, ...best });
    const runs = this.#trialRuns(context);
    if (this.#job.retryFailed === true) await this.#retry(runs);
    const course = await drive(searching, this.#portsOf(runs));
    this.#assertSomeGoWell(1);
    return await this.#conclude(course, context);
  }

  #trialRuns(context: AppraiseContext): TrialRuns {
    return new TrialRuns({
      ...{ spec: this.#spec, runner: this.#runner, store: this.#store, gatherer: this.#gatherer },
      ...{ teachers: this.#teachers, context, signal: this.#signal },
      onRecord: (record) => this.#observe(record),
      onProgress: (trial, share) => this.#tell({ type: "progress", trial, share }),
    });
  }

  #portsOf(runs: TrialRuns): DrivePorts {
    return {
      atOnce: Math.max(fewestAtOnce, 4 * this.#runner.agents.length),
      refuses: (trial) => (this.#store.told(trial) === undefined ? this.#refusal(trial) : undefined),
      begin: async (trial, request) => {
        const { fresh, recorded } = await runs.begin(trial, request);
        this.#examples += fresh;
        this.#idle = fresh === 0 ? this.#idle + 1 : 0;
        return { recorded: recorded.then(() => undefined) };
      },
      outcome: (trial) => runs.outcome(trial),
      abort: (reason) => this.#stop.abort(reason),
    };
  }

  #refusal(trial: number): string | undefined {
    if (this.#idle >= maxIdleTrials) return `its last ${maxIdleTrials} trials were nothing new`;
    const minutes = this.#stopwatch.seconds / 60;
    return usedUp(this.#store.state.budget, { trials: trial - 1, examples: this.#examples, minutes });
  }

  async #retry(runs: TrialRuns): Promise<void> {
    const failed = this.#store.latest.filter(({ status }) => status === "failed");
    const again = function* (): Searching<undefined> {
      yield* start(failed);
    };
    await drive(again(), {
      ...this.#portsOf(runs),
      refuses: () => undefined,
      begin: async (number) => {
        const { recorded } = await runs.again(failed[number - 1] as TrialRecord);
        return { recorded: recorded.then(() => undefined) };
      },
    });
  }

  /** A trial has just come on record. */
  async #observe(record: TrialRecord): Promise<void> {
    const isBest = isBetter(record, this.#best);
    if (isBest) this.#best = record;
    this.#tell({ type: "trial", record, isBest });
    if (this.#best === undefined) this.#assertSomeGoWell(maxFailuresFromStart);
    if (this.#stopwatch.seconds > this.#store.state.activeSeconds + secondsBetweenStates) {
      await this.#store.update({ activeSeconds: this.#stopwatch.seconds });
    }
  }

  /** Of so many trials that there are at least. */
  #assertSomeGoWell(trials: number): void {
    if (this.#store.trials < trials) return;
    this.#commonFailure ??= commonFailure(this.#store.latest);
    if (this.#commonFailure !== undefined) throw this.#commonFailure;
  }

  async #conclude({ ended, result: found }: Course, context: AppraiseContext): Promise<SweepResult> {
    const { spec, folder, trials } = { spec: this.#spec, folder: this.#store.folder, trials: this.#store.latest };
    const { warnings, ...conclusion } = await conclude({
      ...{ spec, runner: this.#runner, store: this.#store, gatherer: this.#gatherer, teachers: this.#teachers },
      ...{ context, signal: this.#signal, found, onJudging: (what) => this.#tell({ type: "judging", what }) },
    });
    const result: SweepResult = {
      ...{ amalgam: packageVersion(), file: spec.file, folder, search: spec.search.kind.name, seed: spec.seed },
      ended: ended ?? "the search came to its end",
      trials: { total: trials.length, failed: trials.filter(({ status }) => status === "failed").length },
      ...{ examples: this.#examples, seconds: this.#stopwatch.seconds },
      ...conclusion,
      warnings: [...this.#notes.all, ...warnings],
      ...(found?.facts === undefined ? {} : { facts: found.facts }),
    };
    await replaceFile(join(folder, sweepFiles.best), bestRecipe(spec, result.best, folder));
    await replaceFile(join(folder, sweepFiles.result), `${toJson(result, 2)}\n`);
    await this.#store.update({ state: "done", ended: result.ended });
    const failed = await finish(folder, this.#job.finishers ?? finishers);
    for (const message of failed) this.#tell({ type: "note", message });
    this.#tell({ type: "done", result });
    return result;
  }

  #note(message: string): void {
    if (this.#notes.add(message)) this.#tell({ type: "note", message });
  }

  #tell(event: SweepEvent): void {
    this.#job.onEvent?.(event);
  }
}
