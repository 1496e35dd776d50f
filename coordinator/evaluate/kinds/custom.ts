import { metricsOf } from "../metrics/metrics-of.js";
import type { CustomSettings } from "../tasks/settings.js";
import type { PrepareContext, Prepared, TaskOf } from "./context.js";
import { loadModule, recordsFrom } from "./custom-module.js";
import { poolingOf } from "./embedding.js";
import { exampleInputs } from "./example-inputs.js";
import { endsOf } from "./graph-ends.js";
import { mismatch } from "./mismatch.js";
import { idsOf, rowsOf } from "./rows.js";
import { Run } from "./run.js";
import { longestSentence } from "./sentence-files.js";
import { rowsTogether } from "./vectors.js";

/** Scores that a module of the author's makes of the model's outputs. */
export async function prepareCustom(task: TaskOf<CustomSettings>, context: PrepareContext): Promise<Prepared> {
  const { settings } = task;
  const { output } = settings;
  const module = await loadModule(task, settings.module);
  const pooling = output === "vectors" ? { pooling: await poolingOf(settings, context.directory) } : {};
  const graphs = context.graphs({ output, ...pooling });
  const towers = settings.input.kind === "text" ? (["text", "body"] as const) : (["image", "body"] as const);
  const role = towers.find((name) => endsOf(graphs.graphs[name]).outputs.has(output));
  if (role === undefined) throw mismatch(task, context, graphs, `a model with ${output}`);
  const rows = await rowsOf(task, settings, context);
  const ids = idsOf(rows, settings);
  const longest = output === "vectors" ? await longestSentence(context.directory) : undefined;
  const shown = { ...settings, maxTokens: settings.maxTokens ?? longest };
  const inputs = await exampleInputs(task, shown, context, graphs, role, rows);
  const run = new Run({ measure: { kind: "vectors", graph: role, output }, inputs });
  const metricSettings = { scores: module.scores };
  return {
    ...{ task, graphs, batches: run.plans, metrics: metricsOf(task.kind, metricSettings), metricSettings },
    load: (batch) => run.load(batch),
    answers: (outputs) => rowsTogether(run.vectors(outputs)),
    finish: async (outputs) => recordsFrom(module, run.vectors(outputs), rows, ids),
    digest: run.digest(
      task.kind,
      settings,
      ids,
      module.digest,
      rows.map(({ fields }) => Object.values(fields).filter((value) => typeof value !== "object")),
    ),
  };
}
