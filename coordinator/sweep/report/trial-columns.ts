import type { ParameterValue, Space } from "../space.js";
import type { TrialRecord } from "../types.js";
import { type ReportAgent, type ReportDimension, type ReportScore, type ReportTrials, timeParts } from "./data.js";
import { binsOf, importanceIn, ranksOf } from "./importance.js";

/** Fewer trials than this on the highest rung say too little: then the rung with most trials is looked at. */
const fewestOnRung = 20;

/** Scores that plots may show at most: a sweep of many tasks has more. */
const maxScores = 60;

/** Agents whose times are shown at most. */
const maxAgents = 40;

/** Which trials are merges that were judged by the same examples, as many as can be. */
export function comparableOf(trials: readonly TrialRecord[]): readonly boolean[] {
  const scored = trials.filter(({ status, reference }) => status === "done" && reference === undefined);
  const counts = new Map<number, number>();
  for (const { rung } of scored) counts.set(rung, (counts.get(rung) ?? 0) + 1);
  const highest = Math.max(...counts.keys());
  const isEnough = (counts.get(highest) ?? 0) >= Math.min(fewestOnRung, scored.length);
  const [most = highest] = [...counts.keys()].toSorted((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || b - a);
  const rung = isEnough ? highest : most;
  return trials.map((trial) => trial.status === "done" && trial.reference === undefined && trial.rung === rung);
}

export function trialColumns(trials: readonly TrialRecord[], agents: readonly string[]): ReportTrials {
  const places = new Map(agents.map((name, i) => [name, i]));
  return {
    number: trials.map(({ trial }) => trial),
    failed: trials.map(({ status }) => status === "failed"),
    comparable: comparableOf(trials),
    violation: trials.map(({ violation }) => finite(violation)),
    examples: trials.map(({ examples }) => examples),
    seconds: trials.map(({ seconds }) => short(seconds) ?? 0),
    agent: trials.map(({ facts }) => places.get(facts?.agent ?? "") ?? -1),
    notes: Object.fromEntries(trials.flatMap((trial, i) => (noteOf(trial) === "" ? [] : [[i, noteOf(trial)]]))),
  };
}

function noteOf({ label, reference, failure, retried, rung }: TrialRecord): string {
  return [
    ...(reference === undefined ? [] : [`the model ${reference} by itself`]),
    ...(label === undefined ? [] : [label]),
    ...(retried === true ? ["run again"] : []),
    ...(rung > 0 ? [`rung ${rung}`] : []),
    ...(failure === undefined ? [] : [`failed: ${failure.message.slice(0, 500)}`]),
  ].join(" · ");
}

/** Objectives first, then the weighted sum of several, then every metric of every task. */
export function scoresOf(
  trials: readonly TrialRecord[],
  directions: ReadonlyMap<string, "higher" | "lower">,
  start: Pick<TrialRecord, "objectives" | "loss" | "metrics"> | undefined,
): readonly Omit<ReportScore, "importance">[] {
  const done = trials.filter(({ status, reference }) => status === "done" && reference === undefined);
  const objectives = Object.keys(done[0]?.objectives ?? {});
  const made: Omit<ReportScore, "importance">[] = objectives.map((name, i) => {
    const sample = done.find(({ objectives: all, losses }) => all[name] !== 0 && Number.isFinite(losses[i]));
    const isLoss = sample !== undefined && Math.sign(sample.objectives[name] ?? 0) === Math.sign(sample.losses[i] ?? 0);
    return {
      ...{ name, kind: "objective", better: isLoss ? "lower" : "higher" },
      ...{ values: trials.map((trial) => short(trial.objectives[name])), start: short(start?.objectives[name]) },
    };
  });
  if (objectives.length > 1) {
    // A sum of accuracies reads better than that of their losses.
    const isSum = made.every(({ better }) => better === "higher");
    const of = (loss: number | undefined): number | null => short(isSum ? -(loss ?? Number.NaN) : loss);
    made.push({
      ...{ name: isSum ? "weighted sum" : "weighted sum of losses", kind: "sum", better: isSum ? "higher" : "lower" },
      ...{ values: trials.map(({ loss }) => of(loss)), start: of(start?.loss) },
    });
  }
  const known = new Set(objectives);
  const metrics = new Map(done.flatMap(({ metrics: all }) => namesOf(all)).map((pair) => [pair.join(" "), pair]));
  for (const [name, [task, metric]] of metrics) {
    if (known.has(name) || made.length >= maxScores) continue;
    made.push({
      ...{ name, kind: "metric", better: directions.get(name) },
      values: trials.map((trial) => short(trial.metrics[task]?.[metric])),
      start: short(start?.metrics[task]?.[metric]),
    });
  }
  return made;
}

function namesOf(metrics: TrialRecord["metrics"]): readonly (readonly [string, string])[] {
  return Object.entries(metrics).flatMap(([task, all]) => Object.keys(all).map((metric) => [task, metric] as const));
}

export function dimensionsOf(space: Space, trials: readonly TrialRecord[]): readonly ReportDimension[] {
  return space.map((dimension): ReportDimension => {
    const { name } = dimension;
    const of = (value: (value: ParameterValue) => number | null): readonly (number | null)[] => {
      return trials.map(({ point }) => (point[name] === undefined ? null : value(point[name])));
    };
    if (dimension.kind === "range") {
      const { kind, scale, low, high } = dimension;
      return { name, kind, scale, low, high, choices: [], values: of((value) => short(Number(value))) };
    }
    const { kind, values } = dimension;
    const shape = { name, kind, scale: "linear", low: 0, high: values.length - 1 } as const;
    const places = new Map(values.map((value, i) => [value, i]));
    return { ...shape, choices: values.map(String), values: of((value) => places.get(value) ?? null) };
  });
}

/** By score and dimension, of the trials that are compared. */
export function importancesOf(
  dimensions: readonly ReportDimension[],
  scores: readonly Pick<ReportScore, "values">[],
  comparable: readonly boolean[],
): readonly (readonly number[])[] {
  const compared = comparable.flatMap((is, which) => (is ? [which] : []));
  const binned = (which: readonly number[]): readonly (readonly number[])[] => {
    return dimensions.map(({ kind, values }) => {
      const own = which.map((i) => values[i] ?? Number.NaN);
      // Choices have no order, in which neighbours could share a bin.
      return kind === "choice" ? own : binsOf(own);
    });
  };
  const bins = binned(compared);
  return scores.map(({ values }) => {
    const scored = compared.filter((i) => values[i] !== null);
    const ranks = ranksOf(scored.map((i) => values[i] ?? 0));
    const known = scored.length === compared.length ? bins : binned(scored);
    return known.map((of) => Number(importanceIn(of, ranks).toFixed(4)));
  });
}

/** Those with most trials. */
export function agentsOf(trials: readonly TrialRecord[]): readonly ReportAgent[] {
  const all = new Map<string, { trials: number; seconds: number[] }>();
  for (const { facts } of trials) {
    if (facts === undefined) continue;
    const agent = all.get(facts.agent) ?? { trials: 0, seconds: timeParts.map(() => 0) };
    agent.trials += 1;
    agent.seconds = timeParts.map((part, i) => (agent.seconds[i] ?? 0) + (finite(facts.seconds[part]) ?? 0));
    all.set(facts.agent, agent);
  }
  return [...all]
    .map(([name, agent]) => {
      return {
        name,
        trials: agent.trials,
        seconds: agent.seconds.map((sum) => Number((sum / agent.trials).toFixed(4))),
      };
    })
    .toSorted((a, b) => b.trials - a.trials)
    .slice(0, maxAgents);
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** As many digits as a plot can show: they are most of a page's bytes. */
function short(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? Number(value.toPrecision(7)) : null;
}
