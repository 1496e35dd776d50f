import type { GraphRole, ModelGraphs } from "../../graphs/types.js";
import { renderText } from "../tasks/render.js";
import type { Input, TokenSettings } from "../tasks/settings.js";
import type { Row, Task } from "../types.js";
import type { PrepareContext } from "./context.js";
import { encodeRow, maxTokensOf, padOf } from "./encode-row.js";
import { endsOf } from "./graph-ends.js";
import { imageInputs } from "./image-inputs.js";
import { mapRows } from "./map-rows.js";
import { mismatch } from "./mismatch.js";
import type { ExampleInputs } from "./run.js";
import { tensorInputs } from "./tensor-inputs.js";
import { textInputs } from "./text-inputs.js";

/** What a task shows the model of every row: texts, tensors or images. `role`: the graph that is run. */
export async function exampleInputs(
  task: Task,
  settings: TokenSettings & { readonly input: Input },
  context: PrepareContext,
  graphs: ModelGraphs,
  role: GraphRole,
  rows: readonly Row[],
): Promise<ExampleInputs> {
  const { input } = settings;
  const { inputs } = endsOf(graphs.graphs[role]);
  if (input.kind === "tensors") return tensorInputs(task, input.columns, inputs, rows);
  if (input.kind === "image") {
    if (!inputs.has("pixel_values")) throw mismatch(task, context, graphs, "a model of images for its images");
    const processor = await context.images();
    if (graphs.image !== undefined) processor.assertFits(graphs.image);
    return imageInputs(task, input.image, processor, rows);
  }
  if (!inputs.has("input_ids")) throw mismatch(task, context, graphs, "a model of text for its texts");
  const tokenizer = await context.tokenizer();
  const limits = { maxTokens: maxTokensOf(settings, graphs), truncation: settings.truncation };
  const sequences = await mapRows(
    rows,
    (row) => {
      const pair = input.pair === undefined ? undefined : renderText(input.pair, row);
      return encodeRow(tokenizer, row, renderText(input.text, row), { ...limits, pair });
    },
    context.signal,
  );
  return textInputs(task, sequences, { pad: padOf(tokenizer), inputs });
}
