import { intervalOf } from "../evaluate/results/bootstrap.js";
import { comparePaired, type PairedDifference } from "../evaluate/results/paired.js";
import { onResamples, Resamples, resampleCount } from "../evaluate/results/resamples.js";
import type { Estimate } from "../evaluate/types.js";
import { combine, measured, metricOf, type TaskEvidence, tasksOf } from "./objectives.js";
import type { Objective } from "./types.js";

/** By how much one merge is better than another by one objective. */
export interface Gain {
  readonly objective: string;
  /** In the objective's unit, larger is better whichever way the metric goes; with its 95 % interval. */
  readonly gain: Estimate;
  /** Of all tasks that the objective is about. */
  readonly examples: number;
}

/** The same for the metric that stands for a task. */
export interface TaskGain extends PairedDifference {
  readonly task: string;
  readonly metric: string;
  readonly higherIsBetter: boolean;
}

type MetricObjective = Pick<Objective, "name" | "of"> & { readonly metric: string | undefined };

/**
 * Both merges on the same resamples of the same examples, drawn for each task by itself (stratified paired bootstrap; Efron
 * and Tibshirani 1993, chapters 8 and 13). `a` and `b` have the same tasks and examples.
 */
export function gainOf(objective: MetricObjective, a: readonly TaskEvidence[], b: readonly TaskEvidence[]): Gain {
  const { name, of } = objective;
  const others = tasksOf(of, b);
  const tasks = tasksOf(of, a).flatMap(({ task, records }, i) => {
    const metric = metricOf(task, objective.metric);
    const other = others[i]?.records;
    if (metric === undefined || other === undefined) return [];
    const { higherIsBetter } = metric;
    return [
      {
        task,
        metric,
        records,
        other,
        higherIsBetter,
        onA: onResamples(metric, records),
        onB: onResamples(metric, other),
      },
    ];
  });
  const value =
    combine(
      of,
      tasks.map(({ metric, records, higherIsBetter }) => measured("", metric.of(records), higherIsBetter)),
    ).loss -
    combine(
      of,
      tasks.map(({ metric, other, higherIsBetter }) => measured("", metric.of(other), higherIsBetter)),
    ).loss;
  const examples = tasks.reduce((sum, { records }) => sum + records.length, 0);
  if (tasks.length === 0 || tasks.some(({ records }) => records.length < 2)) {
    return { objective: name, gain: { value, low: Number.NaN, high: Number.NaN }, examples };
  }
  const resamples = tasks.map(({ task, metric, records }) => new Resamples(task.name, metric.name, records.length));
  const count = Math.min(...tasks.map(({ metric, records }) => resampleCount(records.length, metric)));
  const differences = Float64Array.from({ length: count }, (_, i) => {
    const drawn = tasks.map(({ onA, onB, higherIsBetter }, t) => {
      const which = resamples[t]?.draw(i) ?? new Uint32Array();
      return [measured("", onA(which), higherIsBetter), measured("", onB(which), higherIsBetter)] as const;
    });
    return (
      combine(
        of,
        drawn.map(([one]) => one),
      ).loss -
      combine(
        of,
        drawn.map(([, other]) => other),
      ).loss
    );
  });
  return { objective: name, gain: { value, ...intervalOf(differences) }, examples };
}

/** Task by task, `b` against `a`. */
export function taskGains(a: readonly TaskEvidence[], b: readonly TaskEvidence[]): readonly TaskGain[] {
  return a.flatMap(({ task, records }, i) => {
    const metric = metricOf(task, undefined);
    const other = b[i]?.records;
    if (metric === undefined || other === undefined) return [];
    const { name, higherIsBetter } = metric;
    return [
      { task: task.name, metric: name, higherIsBetter, ...comparePaired(task.name, metric, { a: records, b: other }) },
    ];
  });
}
