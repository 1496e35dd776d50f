import { setImmediate as nextTurn } from "node:timers/promises";
import { quote } from "../../../shared/quote.js";
import { metricsOf } from "../metrics/metrics-of.js";
import { scoreRanking, topDocuments } from "../metrics/ranking.js";
import { renderText } from "../tasks/render.js";
import type { RetrievalSettings, TextsWithIds } from "../tasks/settings.js";
import type { ExampleRecord, Row } from "../types.js";
import type { PrepareContext, Prepared, TaskOf } from "./context.js";
import { textEmbedder } from "./embedding.js";
import { rowError, taskError } from "./mismatch.js";
import { readRelevance } from "./relevance.js";
import { Run } from "./run.js";
import { normalized } from "./vectors.js";

/** Whether the documents nearest to a query are the relevant ones. An example is a query. */
export async function prepareRetrieval(task: TaskOf<RetrievalSettings>, context: PrepareContext): Promise<Prepared> {
  const { settings } = task;
  const embedder = await textEmbedder(task, context);
  const relevance = await readRelevance(settings, context);
  const all = await textsWithIds(settings.queries, context);
  // Nothing is known about a query that nobody has judged.
  const queries = all.filter(({ id }) => relevance.has(id)).slice(0, task.limit);
  if (queries.length === 0)
    throw taskError(task, `None of the ${all.length} queries is in the relevance data: do the ids fit?`);
  const documents = await textsWithIds(settings.corpus, context);
  const documentIds = documents.map(({ id }) => id);
  const run = new Run(await embedder.part(documents), await embedder.part(queries));
  const metricSettings = { at: settings.at };
  return {
    ...{
      task,
      graphs: embedder.graphs,
      batches: run.plans,
      metrics: metricsOf(task.kind, metricSettings),
      metricSettings,
    },
    load: (batch) => run.load(batch),
    finish: async (outputs) => {
      const scale = (vector: Float32Array): Float32Array =>
        settings.normalize ? Float32Array.from(normalized(vector)) : vector;
      const corpus = run.vectors(outputs, 0).map(scale);
      const asked = run.vectors(outputs, 1).map(scale);
      const records: ExampleRecord[] = [];
      for (const [i, { id }] of queries.entries()) {
        const query = asked[i] ?? new Float32Array();
        // A query that is a document too, as in BEIR's duplicate questions, would find itself.
        const ranking = topDocuments(scoresOf(query, corpus), documentIds, settings.at, id);
        const judged = relevance.get(id) ?? new Map<string, number>();
        const { ndcg, recall, reciprocalRank } = scoreRanking(ranking, judged, settings.at);
        const answer = [...judged].filter(([, score]) => score > 0).map(([document]) => document);
        records.push({ id, scores: { ndcg, recall, mrr: reciprocalRank }, prediction: ranking, answer });
        // A query takes a pass over the whole corpus, and others wait for this thread.
        await nextTurn();
      }
      return records;
    },
    digest: run.digest(
      task.kind,
      settings,
      documentIds,
      queries.map(({ id }) => [id, [...(relevance.get(id) ?? [])]]),
    ),
  };
}

async function textsWithIds(
  { data, id, text, prefix }: TextsWithIds,
  context: PrepareContext,
): Promise<readonly { readonly id: string; readonly text: string; readonly row: Row }[]> {
  const places = new Map<string, string>();
  const rows = await context.readRows(data, {});
  return rows.map((row) => {
    const own = renderText(id, row);
    const earlier = places.get(own);
    if (earlier !== undefined) throw rowError(row, `Id ${quote(own)} is that of ${earlier} already`);
    places.set(own, row.place);
    return { id: own, text: prefix + renderText(text, row), row };
  });
}

/** Dot products, in single precision as trec_eval compares them. */
function scoresOf(query: Float32Array, corpus: readonly Float32Array[]): Float32Array {
  const scores = new Float32Array(corpus.length);
  for (const [i, document] of corpus.entries()) {
    let sum = 0;
    for (let k = 0; k < query.length; k++) sum += (query[k] ?? 0) * (document[k] ?? 0);
    scores[i] = sum;
  }
  return scores;
}
