import { basename } from "node:path";
import type { ExampleRecord } from "../../evaluate/types.js";
import { ranked } from "../rank.js";
import type { Candidate, Reference } from "../result.js";
import { pointKey, startPoint } from "../space.js";
import type { Segment, TrialRecord } from "../types.js";
import { type AskedExample, type AskedModel, agreementOf, askedExamples } from "./agreement.js";
import { type ReportData, timeParts } from "./data.js";
import { readEvidence } from "./read-evidence.js";
import { maxRecipes, packRecipes } from "./recipes.js";
import { frontPlaces, shownTrials, spaceOf } from "./shown-trials.js";
import type { SweepFolder } from "./sweep-folder.js";
import { agentsOf, comparableOf, dimensionsOf, importancesOf, scoresOf, trialColumns } from "./trial-columns.js";

/** Values of trials in a page at most; with more, the parameters that matter least are left out. */
const maxValues = 1_000_000;

/** Trials whose answers are compared example by example. */
const maxAsked = 24;

/** All that a page shows of a sweep. */
export interface Report {
  readonly data: ReportData;
  /** Of all that the search could ask about, those that the best trials do worst on first. */
  readonly examples: readonly AskedExample[];
  /** What was left out, for people. */
  readonly limits: readonly string[];
}

export async function reportOf(sweep: SweepFolder): Promise<Report> {
  const { folder, spec, result } = sweep;
  const trials = shownTrials(sweep.trials);
  const space = spec?.space ?? spaceOf(trials);
  const comparable = comparableOf(trials);
  const directions = new Map<string, "higher" | "lower">(
    (result?.taskGains ?? []).map((gain) => [`${gain.task} ${gain.metric}`, gain.higherIsBetter ? "higher" : "lower"]),
  );
  const startKey = pointKey(space, startPoint(space));
  const startTrial = trials.find(({ point, reference, status }) => {
    return status === "done" && reference === undefined && pointKey(space, point) === startKey;
  });
  const scores = scoresOf(trials, directions, result?.start?.searched ?? startTrial);
  const all = dimensionsOf(space, trials);
  const importances = importancesOf(all, scores, comparable);
  const kept = keptDimensions(importances, all.length, trials.length);
  const agents = agentsOf(trials);
  const best = result?.best.trial ?? ranked(trials)[0]?.trial;
  const bestPlace = trials.findIndex(({ trial }) => trial === best);
  const front = frontPlaces(trials, comparable);
  const recipes =
    spec === undefined
      ? { lines: [], of: {}, missing: `There are no recipes: ${sweep.withoutSpec ?? "the sweep file is not there"}.` }
      : packRecipes(recipeOrder(trials, front), (which) => {
          const { point, reference } = trials[which] as TrialRecord;
          return reference === undefined
            ? spec.template.renderFor(point, folder)
            : spec.template.renderReference(reference);
        });
  const { agreements, examples } = await agreementsOf(sweep, trials, startTrial);
  const data: ReportData = {
    scores: scores.map((score, s) => ({ ...score, importance: kept.map((d) => importances[s]?.[d] ?? 0) })),
    dimensions: kept.flatMap((d) => all[d] ?? []),
    trials: trialColumns(
      trials,
      agents.map(({ name }) => name),
    ),
    ...{ best: bestPlace < 0 ? null : bestPlace, front, recipes, agreements, agents, timeParts },
  };
  return { data, examples, limits: limitsOf(sweep, { trials, kept: kept.length, dimensions: all.length, recipes }) };
}

/** The best first, then the front, then what failed: the reader may want to run it to see. */
function recipeOrder(trials: readonly TrialRecord[], front: readonly number[]): readonly number[] {
  const places = new Map(trials.map(({ trial }, which) => [trial, which]));
  const best = ranked(trials).flatMap(({ trial }) => places.get(trial) ?? []);
  return [...new Set([...best.slice(0, maxRecipes / 2), ...front, ...best, ...trials.keys()])];
}

/** The parameters that matter most by any score, in the order of the sweep. */
function keptDimensions(
  importances: readonly (readonly number[])[],
  dimensions: number,
  trials: number,
): readonly number[] {
  const all = Array.from({ length: dimensions }, (_, d) => d);
  const most = Math.max(20, Math.floor(maxValues / Math.max(1, trials)));
  if (dimensions <= most) return all;
  const weight = all.map((d) => Math.max(...importances.map((of) => of[d] ?? 0)));
  const kept = new Set(all.toSorted((a, b) => (weight[b] ?? 0) - (weight[a] ?? 0)).slice(0, most));
  return all.filter((d) => kept.has(d));
}

async function agreementsOf(
  { folder, result, spec }: SweepFolder,
  trials: readonly TrialRecord[],
  startTrial: TrialRecord | undefined,
): Promise<{ readonly agreements: ReportData["agreements"]; readonly examples: readonly AskedExample[] }> {
  const places = new Map(trials.map(({ trial }, which) => [trial, which]));
  const top = ranked(trials).slice(0, maxAsked);
  const searched: AskedModel[] = top.map(({ trial, segments }) => {
    return { name: `trial ${trial}`, which: places.get(trial) ?? 0, segments, isTop: true };
  });
  const start = result?.start;
  if (start !== undefined || startTrial !== undefined) {
    const which = startTrial && { which: places.get(startTrial.trial) ?? 0 };
    const segments = startTrial?.segments ?? partOf(start, false);
    searched.push({ name: "start", ...which, segments, isTop: false });
  }
  const heldOut: AskedModel[] =
    result === undefined || result.judgedOn !== "held out"
      ? []
      : [
          asked("best", result.best, true, places),
          ...result.front.map((one) => asked(`front, trial ${one.trial ?? "none"}`, one, true, places)),
          ...(start === undefined ? [] : [asked("start", start, false, places)]),
          ...referencesOf(result.references),
        ];
  if (result !== undefined && result.judgedOn === "searched") searched.push(...referencesOf(result.references));
  const views = [
    { title: "searched examples", models: searched },
    { title: "held-out examples", models: heldOut.filter(({ segments }) => segments.length > 0) },
  ];
  const keys = new Set(views.flatMap(({ models }) => models.flatMap(({ segments }) => segments.map(({ key }) => key))));
  const evidence: ReadonlyMap<string, readonly ExampleRecord[]> = await readEvidence(folder, keys);
  const scoreOf = (task: string, names: readonly string[]): string | undefined => {
    const wanted = spec?.objectives.find(
      ({ of, kind }) => kind === "metric" && typeof of === "object" && of.task === task,
    );
    const metric = wanted?.kind === "metric" ? wanted.metric : undefined;
    return [metric, ...meanScores].find((name) => name !== undefined && names.includes(name));
  };
  const made = views.map(({ title, models }) => {
    const known = models.filter(({ segments }) => segments.some(({ key }) => evidence.has(key)));
    const examples = askedExamples(known, evidence, scoreOf);
    return { examples, agreement: agreementOf(title, known, examples) };
  });
  return {
    agreements: made.flatMap(({ agreement }) => (agreement === undefined ? [] : [agreement])),
    examples: made[0]?.examples ?? [],
  };
}

/** Scores that say how right an answer is, in this order. */
const meanScores = ["acc", "exact_match", "f1", "ndcg"];

function asked(name: string, one: Candidate, isTop: boolean, places: ReadonlyMap<number, number>): AskedModel {
  const which = one.trial === undefined ? undefined : places.get(one.trial);
  return { name, ...(which === undefined ? {} : { which }), segments: partOf(one, true), isTop };
}

function partOf(one: Candidate | undefined, isHeldOut: boolean): readonly Segment[] {
  return (one?.segments ?? []).filter(({ part }) => (part === "held out") === isHeldOut);
}

function referencesOf(references: readonly Reference[]): readonly AskedModel[] {
  return references.map(({ model, segments = [] }) => ({ name: basename(model) || model, segments, isTop: false }));
}

function limitsOf(
  sweep: SweepFolder,
  shown: {
    readonly trials: readonly TrialRecord[];
    readonly kept: number;
    readonly dimensions: number;
    readonly recipes: ReportData["recipes"];
  },
): readonly string[] {
  const recipes = Object.keys(shown.recipes.of).length;
  return [
    ...(shown.trials.length < sweep.trials.length
      ? [`${shown.trials.length} of ${sweep.trials.length} trials are in this page: the best, and every so many others`]
      : []),
    ...(shown.kept < shown.dimensions
      ? [`${shown.kept} of ${shown.dimensions} parameters are in this page: those that matter most`]
      : []),
    ...(recipes === 0 ? [shown.recipes.missing.replace(/\.$/, "")] : []),
    ...(recipes > 0 && recipes < shown.trials.length ? [`the recipes of ${recipes} trials are in this page`] : []),
  ];
}
