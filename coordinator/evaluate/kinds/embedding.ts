import { join } from "node:path";
import { poolingFromModules } from "../../graphs/encoder/sentence-transformers.js";
import type { GraphRole, ModelGraphs, Pooling } from "../../graphs/types.js";
import type { EmbeddingSettings } from "../tasks/settings.js";
import type { TextTokenizer } from "../text/tokenizer.js";
import type { Row } from "../types.js";
import type { PrepareContext, TaskOf } from "./context.js";
import { encodeRow, maxTokensOf, padOf } from "./encode-row.js";
import { endsOf } from "./graph-ends.js";
import { mapRows } from "./map-rows.js";
import { mismatch } from "./mismatch.js";
import type { Part } from "./run.js";
import { longestSentence, sentenceFiles } from "./sentence-files.js";
import { textInputs } from "./text-inputs.js";

/** Makes vectors of texts. */
export interface TextEmbedder {
  readonly graphs: ModelGraphs;
  readonly tokenizer: TextTokenizer;
  /** Texts, each with the row that it is from. */
  part(texts: readonly { readonly text: string; readonly row: Row }[]): Promise<Part>;
}

export async function textEmbedder(task: TaskOf<EmbeddingSettings>, context: PrepareContext): Promise<TextEmbedder> {
  const { settings } = task;
  const pooling = await poolingOf(settings, context.directory);
  const graphs = context.graphs({ output: "vectors", pooling });
  const graph: GraphRole = graphs.graphs.text === undefined ? "body" : "text";
  const { inputs, outputs } = endsOf(graphs.graphs[graph]);
  if (!inputs.has("input_ids") || !outputs.has("vectors")) {
    throw mismatch(task, context, graphs, "a model that embeds texts");
  }
  const tokenizer = await context.tokenizer();
  const own = settings.maxTokens ?? (await longestSentence(context.directory));
  const limits = { maxTokens: maxTokensOf({ maxTokens: own }, graphs), truncation: settings.truncation };
  return {
    graphs,
    tokenizer,
    part: async (texts) => {
      const sequences = await mapRows(
        texts,
        ({ text, row }) => encodeRow(tokenizer, row, text, limits),
        context.signal,
      );
      return {
        measure: { kind: "vectors", graph },
        inputs: textInputs(task, sequences, { pad: padOf(tokenizer), inputs }),
      };
    },
  };
}

/** The author's choice, else that of the sentence-transformers files in the checkpoint, else the mean. */
export async function poolingOf(
  { pooling, normalize }: Pick<EmbeddingSettings, "pooling" | "normalize">,
  directory: string,
): Promise<Pooling> {
  if (pooling !== undefined) return { mode: pooling, normalize };
  const files = await sentenceFiles(directory);
  if (files === undefined) return { mode: "mean", normalize };
  const config = await files.read(join("1_Pooling", "config.json"));
  return { mode: poolingFromModules(files.modules, config, files.folder)?.mode ?? "mean", normalize };
}
