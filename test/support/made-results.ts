import { bootstrap } from "../../coordinator/evaluate/results/bootstrap.js";
import type {
  EvaluationResult,
  ExampleRecord,
  Metric,
  ModelResult,
  TaskKind,
  TaskResult,
} from "../../coordinator/evaluate/types.js";

// Results as an evaluation makes them, from scores alone.

/** The mean of a score. */
export function meanMetric(name: string, higherIsBetter = true): Metric {
  const of = (records: readonly ExampleRecord[]): number =>
    records.reduce((sum, { scores }) => sum + (scores[name] ?? Number.NaN), 0) / records.length;
  return { name, meanOf: name, higherIsBetter, of };
}

/** Records with one score each, called by their numbers. */
export function recordsOf(name: string, scores: readonly number[]): readonly ExampleRecord[] {
  return scores.map((score, i) => ({ id: String(i), scores: { [name]: score } }));
}

export interface MadeTask {
  readonly task: string;
  readonly metric: Metric;
  readonly records: readonly ExampleRecord[];
  readonly kind?: TaskKind;
  readonly expert?: string;
}

export function madeTask({ task, metric, records, kind = "classification", expert }: MadeTask): TaskResult {
  const { name, higherIsBetter } = metric;
  return {
    task,
    kind,
    metric: name,
    metrics: { [name]: { ...bootstrap(task, metric, records), higherIsBetter } },
    records,
    digest: "0".repeat(64),
    ...(expert === undefined ? {} : { expert }),
  };
}

export function madeModel(name: string, role: ModelResult["role"], tasks: readonly TaskResult[]): ModelResult {
  const providers = [{ agent: "local-0", provider: "cpu", fallback: "" }];
  return { name, checkpoint: `models/${name}`, role, family: "bert", tasks, providers, seconds: 1.5 };
}

export function madeResult(models: readonly ModelResult[]): EvaluationResult {
  return { version: "0.1.0", taskFile: "tasks.yaml", threads: 2, models };
}

/** Zeros and ones with so many ones, spread as evenly as they go. */
export function someRight(right: number, of: number): readonly number[] {
  return Array.from({ length: of }, (_, i) => Math.floor(((i + 1) * right) / of) - Math.floor((i * right) / of));
}
