import type { Prepared } from "../kinds/context.js";
import type { ExampleRecord, TaskResult } from "../types.js";
import { bootstrap } from "./bootstrap.js";

/** What the records of a task amount to: each of its metrics, with its interval. */
export function resultOf(prepared: Prepared, records: readonly ExampleRecord[]): TaskResult {
  const { task, metrics, digest, metricSettings: settings } = prepared;
  const [first] = metrics;
  return {
    ...{ task: task.name, kind: task.kind, records, digest, settings },
    metric: task.metric ?? first?.name ?? "",
    metrics: Object.fromEntries(
      metrics.map((metric) => {
        const { name, higherIsBetter } = metric;
        return [name, { ...bootstrap(task.name, metric, records), higherIsBetter }];
      }),
    ),
    ...(task.expert === undefined ? {} : { expert: task.expert }),
  };
}
