import { AmalgamError } from "../../../shared/errors.js";
import { quote, quoteList } from "../../../shared/quote.js";
import { didYouMean } from "../../recipe/wording.js";
import type { ModelResult, TaskResult } from "../types.js";
import { pairRecords } from "./pair.js";
import { comparePaired, type PairedDifference } from "./paired.js";
import { rebuildMetric } from "./rebuild-metric.js";

/** How two models differ on one task. */
export interface Comparison extends PairedDifference {
  readonly task: string;
  readonly metric: string;
  readonly higherIsBetter: boolean;
  /** Models by name. */
  readonly models: readonly [a: string, b: string];
  readonly records: number;
  /** Whether data, settings and tokenizer were the same, so that both models were asked the same in the same words. */
  readonly isSameInput: boolean;
}

/**
 * Compares the first model with each other one, on every task that both were evaluated on, or on one.
 *
 * @throws AmalgamError `usage` when models share no task, do not have the one asked for, or measured it differently
 */
export function compareModels(
  models: readonly ModelResult[],
  options: { readonly task: string | undefined },
): readonly Comparison[] {
  const [first, ...others] = models;
  if (first === undefined) return [];
  return others.flatMap((other) =>
    sharedTasks(first, other, options.task).map(([a, b]) => {
      if (a.kind !== b.kind || a.metric !== b.metric) {
        const measured = [a, b].map(({ kind, metric }) => `${metric} (${kind})`).join(" and ");
        throw new AmalgamError("usage", `Cannot compare task ${quote(a.task)}: it was measured by ${measured}`);
      }
      const metric = rebuildMetric(a);
      const pairs = pairRecords(a.task, { model: first.name, result: a }, { model: other.name, result: b });
      return {
        task: a.task,
        metric: metric.name,
        higherIsBetter: metric.higherIsBetter,
        models: [first.name, other.name] as const,
        records: pairs.a.length,
        isSameInput: a.digest === b.digest,
        ...comparePaired(a.task, metric, pairs),
      };
    }),
  );
}

function sharedTasks(
  a: ModelResult,
  b: ModelResult,
  only: string | undefined,
): readonly (readonly [TaskResult, TaskResult])[] {
  const named = (tasks: readonly TaskResult[]): readonly string[] => tasks.map(({ task }) => task);
  if (only !== undefined) {
    const lacking = [a, b].find(({ tasks }) => !named(tasks).includes(only));
    if (lacking !== undefined) {
      const tasks = named(lacking.tasks);
      const hint = didYouMean(only, tasks) || `; it has ${quoteList(tasks) || "none"}`;
      throw new AmalgamError("usage", `Model ${quote(lacking.name)} has no task ${quote(only)}${hint}`);
    }
  }
  const shared = a.tasks.flatMap((task) => {
    const other = b.tasks.find(({ task: name }) => name === task.task);
    return other === undefined || (only !== undefined && task.task !== only) ? [] : [[task, other] as const];
  });
  if (shared.length > 0) return shared;
  const tasks = [a, b].map(({ name, tasks }) => `${quote(name)} has ${quoteList(named(tasks)) || "none"}`).join(", ");
  throw new AmalgamError("usage", `Cannot compare models that share no task: ${tasks}`);
}
