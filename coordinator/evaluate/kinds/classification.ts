import type { GraphRole, ModelGraphs } from "../../graphs/types.js";
import { metricsOf } from "../metrics/metrics-of.js";
import { render } from "../tasks/render.js";
import type { ClassificationSettings } from "../tasks/settings.js";
import type { BatchOutput, ExampleRecord } from "../types.js";
import type { PrepareContext, Prepared, TaskOf } from "./context.js";
import { exampleInputs } from "./example-inputs.js";
import { endsOf } from "./graph-ends.js";
import { assertHasClass, classOf } from "./labels.js";
import { mismatch } from "./mismatch.js";
import { idsOf, recordsOf, rowsOf } from "./rows.js";
import { type Part, Run } from "./run.js";
import { rowsTogether } from "./vectors.js";
import { classEmbeddings, promptInputs, zeroShotLogits } from "./zero-shot.js";

/** One right class per example: the class of the largest logit, the first of equals. */
export async function prepareClassification(
  task: TaskOf<ClassificationSettings>,
  context: PrepareContext,
): Promise<Prepared> {
  const { settings } = task;
  const isZeroShot = settings.prompts.length > 0;
  const graphs = context.graphs({ output: isZeroShot ? "vectors" : "logits" });
  const role = roleOf(task, context, graphs, isZeroShot);
  const names = settings.labels ?? graphs.labels;
  const rows = await rowsOf(task, settings, context);
  const answers = rows.map((row) => classOf(render(settings.label, row), names, row));
  const ids = idsOf(rows, settings);

  const inputs = await exampleInputs(task, settings, context, graphs, role, rows);
  const examples: Part = { measure: { kind: "vectors", graph: role }, inputs };
  const prompts = isZeroShot ? [await promptInputs(task, context, graphs)] : [];
  const run = new Run(examples, ...prompts);
  const logitsOf = (outputs: readonly BatchOutput[]): readonly ArrayLike<number>[] => {
    const vectors = run.vectors(outputs);
    if (!isZeroShot) return vectors;
    const classes = classEmbeddings(run.vectors(outputs, 1), settings.prompts.length);
    return vectors.map((vector) => zeroShotLogits(vector, classes));
  };
  return {
    ...{ task, graphs, batches: run.plans, metrics: metricsOf(task.kind), metricSettings: {} },
    load: (batch) => run.load(batch),
    answers: (outputs) => ({ ...rowsTogether(logitsOf(outputs)), classes: Int32Array.from(answers) }),
    finish: async (outputs) => {
      const all = logitsOf(outputs);
      return recordsOf(ids, (example) => {
        const logits = all[example] ?? new Float32Array();
        const answer = answers[example] ?? 0;
        const row = rows[example];
        if (row !== undefined) assertHasClass(answer, logits.length, row);
        return classified(logits, answer, names);
      });
    },
    digest: run.digest(task.kind, settings, ids, answers),
  };
}

function roleOf(
  task: TaskOf<ClassificationSettings>,
  context: PrepareContext,
  graphs: ModelGraphs,
  isZeroShot: boolean,
): GraphRole {
  if (isZeroShot) {
    if (graphs.graphs.image !== undefined && graphs.graphs.text !== undefined) return "image";
    throw mismatch(task, context, graphs, 'a model of images and texts (CLIP) for "prompts"; leave them out');
  }
  if (endsOf(graphs.graphs.body).outputs.has("logits")) return "body";
  const needed = graphs.graphs.image === undefined ? "a classifier" : 'a classifier, or "prompts" for its classes';
  throw mismatch(task, context, graphs, needed);
}

/**
 * Entropy and log-probability are in nats; the margin is the right class's logit less the best other one. A model that
 * gives NaN predicts nothing, which is never right.
 */
export function classified(
  logits: ArrayLike<number>,
  answer: number,
  names: readonly string[] | undefined,
): Omit<ExampleRecord, "id"> {
  let [best, isNumber] = [0, logits.length > 0];
  let bestOther = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] ?? Number.NaN;
    if (Number.isNaN(logit)) isNumber = false;
    if (logit > (logits[best] ?? Number.NaN)) best = i;
    if (i !== answer && logit > bestOther) bestOther = logit;
  }
  const most = logits[best] ?? Number.NaN;
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += Math.exp((logits[i] ?? 0) - most);
  const logTotal = Math.log(total) + most;
  let entropy = 0;
  for (let i = 0; i < logits.length; i++) {
    const logprob = (logits[i] ?? 0) - logTotal;
    // The limit of p · log p at 0 is 0.
    if (logprob > Number.NEGATIVE_INFINITY) entropy -= Math.exp(logprob) * logprob;
  }
  const right = logits[answer] ?? Number.NaN;
  const acc = isNumber && best === answer ? 1 : 0;
  const scores = {
    acc,
    logprob: right - logTotal,
    entropy: isNumber ? entropy : Number.NaN,
    margin: right - bestOther,
  };
  return { scores, prediction: isNumber ? (names?.[best] ?? best) : null, answer: names?.[answer] ?? answer };
}
