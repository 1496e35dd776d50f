import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { MetricSettings } from "../kinds/context.js";
import { meanMetric } from "../metrics/mean.js";
import { metricsOf } from "../metrics/metrics-of.js";
import type { Metric, TaskResult } from "../types.js";

/**
 * The metric that stands for a task, for records that were read back. What the kind does not know is the mean of the
 * score of its name.
 *
 * @throws AmalgamError `usage` when it is neither
 */
export function rebuildMetric(result: TaskResult): Metric {
  const { task, kind, metric: name, records } = result;
  const known = knownMetric(result);
  if (known !== undefined) return known;
  if (records.length > 0 && records.every(({ scores }) => scores[name] !== undefined)) {
    return meanMetric(name, name, result.metrics[name]?.higherIsBetter ?? true);
  }
  throw new AmalgamError(
    "usage",
    `Cannot compare task ${quote(task)}: its metric ${quote(name)} is not one of kind ${quote(kind)}, and not a score of each record`,
  );
}

/** The score of each record that says how it did by the task's metric, if there is one: "ndcg" for "ndcg@10". */
export function scoreName(result: TaskResult): string {
  return knownMetric(result)?.meanOf ?? result.metric;
}

function knownMetric({ kind, metric, settings }: TaskResult): Metric | undefined {
  // What is read back has passed the schema of results.json.
  return metricsOf(kind, settings as MetricSettings | undefined).find(({ name }) => name === metric);
}
