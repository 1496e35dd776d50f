import { metricsOf } from "../metrics/metrics-of.js";
import { renderNumber, renderText } from "../tasks/render.js";
import type { SimilaritySettings } from "../tasks/settings.js";
import type { PrepareContext, Prepared, TaskOf } from "./context.js";
import { textEmbedder } from "./embedding.js";
import { idsOf, recordsOf, rowsOf } from "./rows.js";
import { Run } from "./run.js";
import { cosine, rowsTogether } from "./vectors.js";

/** How well the cosine of two texts' vectors follows what people say about their likeness. */
export async function prepareSimilarity(task: TaskOf<SimilaritySettings>, context: PrepareContext): Promise<Prepared> {
  const { settings } = task;
  const embedder = await textEmbedder(task, context);
  const rows = await rowsOf(task, settings, context);
  const ids = idsOf(rows, settings);
  const gold = rows.map((row) => renderNumber(settings.score, row));
  // Both texts of an example stand side by side: 2i and 2i + 1.
  const texts = rows.flatMap((row) => {
    return [settings.first, settings.second].map((template) => ({ text: renderText(template, row), row }));
  });
  const run = new Run(await embedder.part(texts));
  return {
    ...{ task, graphs: embedder.graphs, batches: run.plans, metrics: metricsOf(task.kind), metricSettings: {} },
    load: (batch) => run.load(batch),
    answers: (outputs) => {
      const vectors = run.vectors(outputs);
      const firstThenSecond = [0, 1].flatMap((side) => rows.map((_, i) => vectors[2 * i + side] ?? []));
      return { ...rowsTogether(firstThenSecond), rowsPerExample: 2 };
    },
    finish: async (outputs) => {
      const vectors = run.vectors(outputs);
      const none = new Float32Array();
      return recordsOf(ids, (example) => {
        const likeness = cosine(vectors[2 * example] ?? none, vectors[2 * example + 1] ?? none);
        const answer = gold[example] ?? Number.NaN;
        return { scores: { cosine: likeness, gold: answer }, prediction: likeness, answer };
      });
    },
    digest: run.digest(task.kind, settings, ids, gold),
  };
}
