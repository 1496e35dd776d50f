import { metricsOf } from "../metrics/metrics-of.js";
import { probabilityPrefix, truthPrefix } from "../metrics/multi-label.js";
import { render, renderList } from "../tasks/render.js";
import type { MultiLabelSettings } from "../tasks/settings.js";
import type { ExampleRecord, Row } from "../types.js";
import type { PrepareContext, Prepared, TaskOf } from "./context.js";
import { exampleInputs } from "./example-inputs.js";
import { endsOf } from "./graph-ends.js";
import { classOf } from "./labels.js";
import { mismatch, rowError, taskError } from "./mismatch.js";
import { idsOf, recordsOf, rowsOf } from "./rows.js";
import { Run } from "./run.js";
import { rowsTogether } from "./vectors.js";

/** Any number of right labels per example, each with a probability of its own. */
export async function prepareMultiLabel(task: TaskOf<MultiLabelSettings>, context: PrepareContext): Promise<Prepared> {
  const { settings } = task;
  const graphs = context.graphs({ output: "logits" });
  if (!endsOf(graphs.graphs.body).outputs.has("logits")) throw mismatch(task, context, graphs, "a classifier");
  const labels = settings.labels ?? graphs.labels;
  if (labels === undefined) throw taskError(task, 'Neither the task ("labels") nor config.json names the labels');
  const rows = await rowsOf(task, settings, context);
  const ids = idsOf(rows, settings);
  const truths = rows.map((row) => truthsOf(row, settings.answers, labels));
  const inputs = await exampleInputs(task, settings, context, graphs, "body", rows);
  const run = new Run({ measure: { kind: "vectors", graph: "body" }, inputs });
  const metricSettings = { threshold: settings.threshold };
  return {
    ...{ task, graphs, batches: run.plans, metrics: metricsOf(task.kind, metricSettings), metricSettings },
    load: (batch) => run.load(batch),
    answers: (outputs) => rowsTogether(run.vectors(outputs)),
    finish: async (outputs) => {
      const logits = run.vectors(outputs);
      return recordsOf(ids, (example) => {
        const own = logits[example] ?? new Float32Array();
        if (own.length !== labels.length) {
          throw taskError(task, `There are ${labels.length} labels, and the model has ${own.length} outputs`);
        }
        return labelled(own, truths[example] ?? new Set(), labels, settings.threshold);
      });
    },
    digest: run.digest(
      task.kind,
      settings,
      ids,
      truths.map((truth) => [...truth]),
    ),
  };
}

/** A probability and a truth for each label, and whether all of them are right at once (subset accuracy). */
export function labelled(
  logits: ArrayLike<number>,
  truth: ReadonlySet<number>,
  labels: readonly string[],
  threshold: number,
): Omit<ExampleRecord, "id"> {
  const scores: Record<string, number> = {};
  const predicted = new Set<number>();
  for (const [i, label] of labels.entries()) {
    const probability = 1 / (1 + Math.exp(-(logits[i] ?? Number.NaN)));
    scores[probabilityPrefix + label] = probability;
    scores[truthPrefix + label] = truth.has(i) ? 1 : 0;
    if (probability > threshold) predicted.add(i);
  }
  const isSame = labels.every((_, i) => predicted.has(i) === truth.has(i));
  const namesOf = (set: ReadonlySet<number>): readonly string[] => labels.filter((_, i) => set.has(i));
  return { scores: { acc: isSame ? 1 : 0, ...scores }, prediction: namesOf(predicted), answer: namesOf(truth) };
}

function truthsOf(row: Row, answers: MultiLabelSettings["answers"], labels: readonly string[]): ReadonlySet<number> {
  if (!("length" in answers)) return new Set(renderList(answers, row).map((value) => classOf(value, labels, row)));
  const truths = answers.map((template) => flagOf(render(template, row), row));
  if (truths.length !== labels.length) {
    throw rowError(row, `There are ${truths.length} columns of answers for ${labels.length} labels`);
  }
  return new Set(labels.flatMap((_, i) => (truths[i] === true ? [i] : [])));
}

function flagOf(value: unknown, row: Row): boolean {
  const text = String(value).trim().toLowerCase();
  if (["1", "1.0", "true"].includes(text)) return true;
  if (["0", "0.0", "false"].includes(text)) return false;
  throw rowError(row, `Whether a label is right must be 0 or 1, found ${String(value)}`);
}
