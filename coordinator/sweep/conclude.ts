import { setImmediate as nextTurn } from "node:timers/promises";
import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import { formatSigned } from "../evaluate/results/format.js";
import { type AppraiseContext, appraise } from "./appraise.js";
import { endsSweep } from "./ends-sweep.js";
import { type Gain, gainOf, taskGains } from "./gain.js";
import { type Gatherer, segmentsOf } from "./gather.js";
import type { Judgement, TaskEvidence } from "./objectives.js";
import { ranked } from "./rank.js";
import type { Candidate, Reference, SweepResult } from "./result.js";
import { frontOf } from "./search/pareto.js";
import type { SearchResult } from "./search/searching.js";
import { type Point, pointKey, startPoint } from "./space.js";
import type { SweepStore } from "./store/store.js";
import type { Teachers } from "./teachers.js";
import type { Segment, SegmentPart, SweepSpec, TrialRecord, TrialRunner } from "./types.js";

/** Points of a front that are judged on held-out examples besides the best. */
const maxFrontJudged = 5;

export interface ConcludeOptions {
  readonly spec: SweepSpec;
  readonly runner: TrialRunner;
  readonly store: SweepStore;
  readonly gatherer: Gatherer;
  readonly teachers: Teachers;
  readonly context: AppraiseContext;
  readonly signal: AbortSignal;
  readonly found: SearchResult | undefined;
  readonly onJudging?: (what: string) => void;
}

export type Conclusion = Pick<
  SweepResult,
  "best" | "start" | "front" | "references" | "judgedOn" | "gains" | "taskGains" | "warnings"
>;

interface Assessed {
  readonly judgement: Judgement;
  readonly evidence: readonly TaskEvidence[];
  readonly segments: readonly Segment[];
}

/** Chooses the best merge, and judges it by what no search has seen. */
export async function conclude(options: ConcludeOptions): Promise<Conclusion> {
  const { spec, store, context, found } = options;
  const warnings: string[] = [];
  const assessor = new Assessor(options, warnings);
  const isHeldOut = context.tasks.some(({ heldOut }) => heldOut > 0);
  const part = isHeldOut ? "held out" : assessor.lastRung;
  const whole = ranked(store.latest);
  const rung = whole[0]?.rung ?? assessor.lastRung;
  if (rung < assessor.lastRung)
    warnings.push("no trial came to all examples: the best is the best of the last rung reached");
  const bestPoint = (await assessor.recommended(found?.best, whole)) ?? whole[0]?.point;
  if (bestPoint === undefined) throw new AmalgamError("usage", "No merge has a score: extend the sweep");
  const best = await assessor.candidate(bestPoint, whole, isHeldOut);
  if (best === undefined) throw new AmalgamError("io_failed", `Cannot judge the best merge: ${warnings.at(-1)}`);
  if (best.searched.violation > 0)
    warnings.push("no merge meets all constraints: the best is the one that violates them least");
  const start = await assessor.candidate(startPoint(spec.space), whole, isHeldOut);
  const front = await assessor.front(found?.front ?? frontPoints(spec, whole), whole, isHeldOut);
  const references = await assessor.references(part);
  const [before, after] = [assessor.evidence(startPoint(spec.space), part), assessor.evidence(bestPoint, part)];
  const gains: Gain[] = [];
  for (const one of metricObjectives(spec)) {
    if (before === undefined || after === undefined) break;
    gains.push(gainOf(one, before, after));
    // Thousands of resamples for each: connections are to be kept alive meanwhile.
    await nextTurn();
  }
  const isStart = pointKey(spec.space, bestPoint) === pointKey(spec.space, startPoint(spec.space));
  if (isStart) warnings.push("the search found nothing better than the start");
  warnings.push(...doubts(isStart ? [] : gains, isHeldOut));
  return {
    ...{ best, start, front, references, gains, warnings },
    judgedOn: isHeldOut ? "held out" : "searched",
    taskGains: before === undefined || after === undefined ? [] : taskGains(before, after),
  };
}

/** Merges that are judged, each on each part once; what fails is a warning. */
class Assessor {
  readonly #options: ConcludeOptions;
  readonly #warnings: string[];
  readonly #known = new Map<string, Assessed | undefined>();
  readonly lastRung: number;

  constructor(options: ConcludeOptions, warnings: string[]) {
    this.#options = options;
    this.#warnings = warnings;
    this.lastRung = (options.context.tasks[0]?.rungs.length ?? 1) - 1;
  }

  /** What a search recommends, unless it violates constraints more than the best trial: some searches follow the loss alone. */
  async recommended(point: Point | undefined, [bestTrial]: readonly TrialRecord[]): Promise<Point | undefined> {
    if (point === undefined || bestTrial === undefined) return point;
    const assessed = await this.#point(point, this.lastRung, undefined);
    if (assessed === undefined || assessed.judgement.violation <= bestTrial.violation) return point;
    const what = "the merge that the search recommends violates constraints";
    this.#warnings.push(`${what} more than trial ${bestTrial.trial}, which is taken for the best`);
    return undefined;
  }

  async candidate(point: Point, trials: readonly TrialRecord[], isHeldOut: boolean): Promise<Candidate | undefined> {
    const { space } = this.#options.spec;
    const trial = trials.find((record) => pointKey(space, record.point) === pointKey(space, point))?.trial;
    const searched = await this.#point(point, this.lastRung, trial);
    const heldOut = isHeldOut ? await this.#point(point, "held out", trial) : undefined;
    if (searched === undefined || (isHeldOut && heldOut === undefined)) return undefined;
    return {
      point,
      ...(trial === undefined ? {} : { trial }),
      searched: searched.judgement,
      ...(heldOut === undefined ? {} : { heldOut: heldOut.judgement }),
      segments: [...searched.segments, ...(heldOut?.segments ?? [])],
    };
  }

  async front(
    points: readonly Point[],
    trials: readonly TrialRecord[],
    isHeldOut: boolean,
  ): Promise<readonly Candidate[]> {
    const chosen = new Set(spread(points, maxFrontJudged));
    const judged = points.map((point) => this.candidate(point, trials, isHeldOut && chosen.has(point)));
    return (await Promise.all(judged)).filter((one) => one !== undefined);
  }

  async references(part: SegmentPart): Promise<readonly Reference[]> {
    const { template, tasks } = this.#options.spec;
    const experts = new Set(tasks.experts.values());
    const wanted = template.models.filter(({ name, isBase }) => isBase || experts.has(name));
    const judged = wanted.map(async ({ name, isBase }): Promise<Reference | undefined> => {
      const one = await this.#assess(template.renderReference(name), part, quote(name));
      return one && { model: name, isBase, judgement: one.judgement, segments: one.segments };
    });
    return (await Promise.all(judged)).filter((one) => one !== undefined);
  }

  evidence(point: Point, part: SegmentPart): readonly TaskEvidence[] | undefined {
    return this.#known.get(`${part} ${this.#options.spec.template.render(point)}`)?.evidence;
  }

  #point(point: Point, part: SegmentPart, trial: number | undefined): Promise<Assessed | undefined> {
    const isStart =
      pointKey(this.#options.spec.space, startPoint(this.#options.spec.space)) ===
      pointKey(this.#options.spec.space, point);
    const label = trial === undefined ? (isStart ? "the start point" : "the recommended point") : `trial ${trial}`;
    return this.#assess(this.#options.spec.template.render(point), part, label);
  }

  async #assess(text: string, part: SegmentPart, label: string): Promise<Assessed | undefined> {
    const key = `${part} ${text}`;
    if (!this.#known.has(key)) this.#known.set(key, await this.#tryAssess(text, part, label));
    return this.#known.get(key);
  }

  async #tryAssess(text: string, part: SegmentPart, label: string): Promise<Assessed | undefined> {
    const { runner, gatherer, teachers, context, signal, onJudging } = this.#options;
    try {
      const planned = await runner.plan(text);
      const segments = segmentsOf(planned, part);
      const what = part === "held out" ? `${label} on held-out examples` : label;
      if (segments.some((segment) => context.store.runFor(segment) === undefined)) onJudging?.(what);
      const lessons = await teachers.begin(part, signal);
      await gatherer.gather({ planned, segments, trial: 0, label, signal }).complete;
      await lessons.complete;
      return { ...(await appraise(context, segments)), segments };
    } catch (reason) {
      const error = AmalgamError.from(reason);
      // Where nobody is left to judge, the sweep is not over.
      if (signal.aborted || endsSweep(error) || runner.agents.length === 0) throw error;
      this.#warnings.push(`${label} could not be judged: ${error.message}`);
      return undefined;
    }
  }
}

function frontPoints({ objectives }: SweepSpec, trials: readonly TrialRecord[]): readonly Point[] {
  if (objectives.length < 2) return [];
  const feasible = trials.filter(({ violation }) => violation === 0);
  return frontOf(feasible.map(({ point, losses, violation }) => ({ point, losses, violation }))).map(
    ({ point }) => point,
  );
}

/** So many of a list, evenly, its ends included. */
function spread<Item>(items: readonly Item[], count: number): readonly Item[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as Item);
}

/** Losses of answers have no score for each example; there the tasks' own metrics say what was gained. */
function metricObjectives({ objectives }: SweepSpec) {
  const metrics = objectives.flatMap((one) => (one.kind === "metric" ? [one] : []));
  return metrics.length > 0 ? metrics : [{ name: "mean of the tasks", of: "mean" as const, metric: undefined }];
}

function doubts(gains: readonly Gain[], isHeldOut: boolean): readonly string[] {
  const unsure = gains.filter(({ gain }) => gain.low <= 0 && gain.high >= 0);
  const unknown = gains.filter(({ gain }) => Number.isNaN(gain.low) || Number.isNaN(gain.high));
  const worse = gains.filter(({ gain }) => gain.high < 0);
  return [
    ...(isHeldOut
      ? []
      : ['nothing was held out: the gain is on the examples that were searched, and too good; set "hold_out"']),
    ...unsure.map(({ objective, gain, examples }) => {
      const interval = `95 % interval ${formatSigned(gain.low, 3)} to ${formatSigned(gain.high, 3)}`;
      const where = `on ${formatCount(examples)} examples`;
      return `the gain in ${objective} may be chance: ${formatSigned(gain.value, 3)}, ${interval}, ${where}`;
    }),
    ...unknown.map(({ objective, gain }) => {
      const value = formatSigned(gain.value, 3);
      return `the gain in ${objective} may be chance: ${value}, on too few examples of a task to say how sure that is`;
    }),
    ...worse.map(({ objective }) => `in ${objective} the best merge of the search is worse than the start`),
  ];
}
