import { quote } from "../../shared/quote.js";
import { meanOf } from "../evaluate/metrics/mean.js";
import { metricsOf } from "../evaluate/metrics/metrics-of.js";
import type { ExampleRecord, Metric } from "../evaluate/types.js";
import type { AnswerLoss, TaskAnswers } from "./losses/answer-loss.js";
import type { Constraint, Objective, ScoredTask, SweepSpec } from "./types.js";

/** What a merged model made of one task. */
export interface TaskEvidence {
  readonly task: ScoredTask;
  readonly records: readonly ExampleRecord[];
  /** Where an objective is a loss of answers. */
  readonly answers?: TaskAnswers;
}

/** What a trial is worth. */
export interface Judgement {
  /** By objective and in its order, as people read them (accuracy, not its loss). */
  readonly objectives: Readonly<Record<string, number>>;
  /** The same in order, smaller is better. */
  readonly losses: readonly number[];
  /** Their weighted sum. */
  readonly loss: number;
  /** Shortfalls of the constraints, summed. */
  readonly violation: number;
  /** Every metric of every task. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The first score that is not a number, for people. The trial has failed then. */
  readonly flaw?: string;
}

/** A value, and the same made a loss: smaller is better. `of`: where it comes from, for people. */
export interface Measured {
  readonly of: string;
  readonly value: number;
  readonly loss: number;
}

type Measurable =
  | { readonly kind: "metric"; readonly metric: string | undefined }
  | { readonly kind: "loss"; readonly loss: string };

/** What each task is worth by one measure. */
type Measure = (evidence: TaskEvidence) => Measured;

export function judge(
  { objectives, constraints }: Pick<SweepSpec, "objectives" | "constraints">,
  evidence: readonly TaskEvidence[],
  losses: readonly AnswerLoss[],
): Judgement {
  const judged = objectives.map(({ of, ...objective }) => {
    return combine(of, tasksOf(of, evidence).map(measureOf(objective, losses)));
  });
  const bounded = constraints.map(({ of, metric }) => combine(of, tasksOf(of, evidence).map(byMetric(metric))));
  const flawed = [...judged, ...bounded].find(({ value }) => Number.isNaN(value));
  return {
    objectives: Object.fromEntries(objectives.map(({ name }, i) => [name, judged[i]?.value ?? Number.NaN])),
    losses: judged.map(({ loss }) => loss),
    loss: judged.reduce((sum, { loss }, i) => sum + (objectives[i]?.weight ?? 1) * loss, 0),
    violation: constraints.reduce((sum, constraint, i) => sum + shortfall(constraint, bounded[i]?.value ?? 0), 0),
    metrics: Object.fromEntries(evidence.map(({ task, records }) => [task.name, metricValues(task, records)])),
    ...(flawed === undefined ? {} : { flaw: `score is not a number: ${flawed.of}` }),
  };
}

/**
 * How a task does on each example by the metric that the objectives ask of it, larger is better. Undefined where what they
 * ask is no mean over examples: other metrics, losses, several metrics at once, the worst of several tasks.
 */
export function exampleScores(
  { task, records }: TaskEvidence,
  objectives: readonly Objective[],
): Float64Array | undefined {
  const about = objectives.filter(({ of }) => typeof of === "string" || of.task === task.name);
  if (about.some(({ of, kind }) => of === "worst" || kind === "loss")) return undefined;
  const names = new Set(
    about.map((objective) => (objective.kind === "metric" ? objective.metric : undefined) ?? task.metric),
  );
  const [name] = names;
  const metric = names.size === 1 ? metricOf(task, name) : undefined;
  const score = metric?.meanOf;
  if (metric === undefined || score === undefined) return undefined;
  const sign = metric.higherIsBetter ? 1 : -1;
  return Float64Array.from(records, ({ scores }) => sign * (scores[score] ?? Number.NaN));
}

/** A metric of a task by name, or the one that stands for it. */
export function metricOf(task: ScoredTask, name: string | undefined): Metric | undefined {
  return metricsOf(task.kind, task.metricSettings).find((metric) => metric.name === (name ?? task.metric));
}

function measureOf(objective: Measurable, losses: readonly AnswerLoss[]): Measure {
  return objective.kind === "metric" ? byMetric(objective.metric) : byLoss(objective.loss, losses);
}

function byMetric(name: string | undefined): Measure {
  return ({ task, records }) => {
    const metric = metricOf(task, name);
    const of = `task ${quote(task.name)}, metric ${quote(name ?? task.metric)}`;
    return measured(of, metric?.of(records) ?? Number.NaN, metric?.higherIsBetter === true);
  };
}

export function measured(of: string, value: number, higherIsBetter: boolean): Measured {
  return { of, value, loss: higherIsBetter ? -value : value };
}

function byLoss(name: string, losses: readonly AnswerLoss[]): Measure {
  const loss = losses.find((one) => one.name === name);
  return ({ task, answers }) => {
    const value = answers === undefined ? Number.NaN : (loss?.value(answers) ?? Number.NaN);
    return { of: `task ${quote(task.name)}, loss ${quote(name)}`, value, loss: value };
  };
}

/** Those that an objective is about. */
export function tasksOf(of: Objective["of"], evidence: readonly TaskEvidence[]): readonly TaskEvidence[] {
  return typeof of === "string" ? evidence : evidence.filter(({ task }) => task.name === of.task);
}

/** One measure for what several tasks are worth. */
export function combine(of: Objective["of"], all: readonly Measured[]): Measured {
  const [first] = all;
  if (first === undefined) return { of: "no task at all", value: Number.NaN, loss: Number.NaN };
  const flawed = all.find(({ value }) => Number.isNaN(value));
  if (flawed !== undefined) return flawed;
  if (of === "worst") return all.reduce((worst, one) => (one.loss > worst.loss ? one : worst));
  const mean = (number: (one: Measured) => number): number => meanOf(all.map(number));
  // Accuracies and perplexities have no common direction but that of losses, turned round for people.
  const isMixed = new Set(all.map(({ value, loss }) => Object.is(value, loss))).size > 1;
  const loss = mean((one) => one.loss);
  return { of: first.of, value: isMixed ? -loss : mean((one) => one.value), loss };
}

function shortfall({ atLeast, atMost }: Constraint, value: number): number {
  const below = atLeast === undefined ? 0 : Math.max(0, atLeast - value);
  return below + (atMost === undefined ? 0 : Math.max(0, value - atMost));
}

function metricValues(task: ScoredTask, records: readonly ExampleRecord[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    metricsOf(task.kind, task.metricSettings).map((metric) => [metric.name, metric.of(records)]),
  );
}
