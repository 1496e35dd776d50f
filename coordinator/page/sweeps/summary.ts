import { basename } from "node:path";
import { isScored, ranked } from "../../sweep/rank.js";
import { frontOf } from "../../sweep/search/pareto.js";
import { readState } from "../../sweep/store/state.js";
import { readTrials } from "../../sweep/store/store.js";
import type { TrialRecord } from "../../sweep/types.js";
import type { SweepView } from "../types.js";

/** Points of a plot as large as a stamp. */
const maxPoints = 200;
const maxObjectives = 8;
const maxNameLength = 200;

export type SweepSummary = Omit<SweepView, "name" | "changedAt">;

/** What a sweep's folder says at this moment; undefined where there is no sweep. */
export async function summarise(folder: string): Promise<SweepSummary | undefined> {
  const state = await readState(folder);
  if (state === undefined) return undefined;
  const trials = await readTrials(folder);
  const scored = ranked(trials);
  const [best] = scored;
  const names = Object.keys(best?.objectives ?? {}).slice(0, maxObjectives);
  const objectives = names.map((name) => name.slice(0, maxNameLength));
  const scoresOf = ({ objectives: scores }: TrialRecord): readonly number[] =>
    names.map((name) => finite(scores[name]));
  return {
    ...{ file: basename(state.file).slice(0, maxNameLength), state: state.state, trials: trials.length, objectives },
    ...(state.ended !== undefined && { ended: state.ended.slice(0, maxNameLength) }),
    failed: trials.filter(({ status }) => status === "failed").length,
    ...(state.budget.trials !== undefined && { maxTrials: state.budget.trials }),
    ...(best !== undefined && { best: { trial: best.trial, scores: scoresOf(best) } }),
    bestSoFar: thinned(bestSoFar(trials)),
    ...(objectives.length === 2 && { front: frontIn(scored, scoresOf) }),
  };
}

/** Wherever the least loss got smaller. Trials that were judged by fewer examples than others do not count. */
export function bestSoFar(trials: readonly TrialRecord[]): readonly (readonly [number, number])[] {
  const rung = trials.filter(isScored).reduce((highest, trial) => Math.max(highest, trial.rung), 0);
  const course: (readonly [number, number])[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const trial of trials) {
    if (!isScored(trial) || trial.rung !== rung || trial.violation > 0 || !(trial.loss < least)) continue;
    least = trial.loss;
    course.push([trial.trial, least]);
  }
  const last = trials.at(-1)?.trial;
  if (last !== undefined && course.length > 0 && course.at(-1)?.[0] !== last) course.push([last, least]);
  return course;
}

function frontIn(scored: readonly TrialRecord[], scoresOf: (trial: TrialRecord) => readonly number[]) {
  const pair = (trial: TrialRecord): readonly [number, number] => {
    const [a = 0, b = 0] = scoresOf(trial);
    return [a, b];
  };
  const front = new Set(frontOf(scored.map((trial) => ({ ...trial, failure: undefined }))).map(({ trial }) => trial));
  const [on, off] = [true, false].map((isOn) => scored.filter(({ trial }) => front.has(trial) === isOn).map(pair));
  return { front: thinned(on ?? []), others: thinned(off ?? []) };
}

function thinned<T>(all: readonly T[]): readonly T[] {
  if (all.length <= maxPoints) return all;
  return Array.from({ length: maxPoints }, (_, i) => all[Math.round((i * (all.length - 1)) / (maxPoints - 1))] as T);
}

function finite(value: number | undefined): number {
  return value !== undefined && Number.isFinite(value) ? value : 0;
}
