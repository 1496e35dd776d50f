import type { ModelGraphs } from "../../graphs/types.js";
import { renderText } from "../tasks/render.js";
import type { ClassificationSettings } from "../tasks/settings.js";
import type { PrepareContext, TaskOf } from "./context.js";
import { encodeRow, maxTokensOf, padOf } from "./encode-row.js";
import { endsOf } from "./graph-ends.js";
import { taskError } from "./mismatch.js";
import type { Part } from "./run.js";
import { textInputs } from "./text-inputs.js";
import { dot, normalized } from "./vectors.js";

/** exp(logit_scale) of CLIP as trained, at the limit that its authors set. It decides probabilities, never the class. */
const logitScale = 100;

/** The texts that stand for the classes of a zero-shot classification: all prompts of a class, then the next class's. */
export async function promptInputs(
  task: TaskOf<ClassificationSettings>,
  context: PrepareContext,
  graphs: ModelGraphs,
): Promise<Part> {
  const { labels, prompts } = task.settings;
  if (labels === undefined) throw taskError(task, 'Prompts need "labels", the names of the classes in order');
  const tokenizer = await context.tokenizer();
  const options = { maxTokens: maxTokensOf(task.settings, graphs), truncation: "right" as const };
  const sequences = labels.flatMap((label) =>
    prompts.map((prompt) => {
      const row = { fields: { label }, place: prompt.place };
      return encodeRow(tokenizer, row, renderText(prompt, row), options);
    }),
  );
  const { inputs } = endsOf(graphs.graphs.text);
  return {
    measure: { kind: "vectors", graph: "text" },
    inputs: textInputs(task, sequences, { pad: padOf(tokenizer), inputs }),
  };
}

/** The mean of each class's normalized prompts, normalized again (Radford et al. 2021, section 3.1.4). */
export function classEmbeddings(vectors: readonly Float32Array[], promptsPerClass: number): readonly Float64Array[] {
  const classes = Math.floor(vectors.length / promptsPerClass);
  return Array.from({ length: classes }, (_, index) => {
    const own = vectors.slice(index * promptsPerClass, (index + 1) * promptsPerClass).map(normalized);
    const sum = new Float64Array(own[0]?.length ?? 0);
    for (const vector of own) for (const [i, value] of vector.entries()) sum[i] = (sum[i] ?? 0) + value;
    return normalized(sum);
  });
}

export function zeroShotLogits(image: Float32Array, classes: readonly Float64Array[]): Float64Array {
  const unit = normalized(image);
  return Float64Array.from(classes, (vector) => logitScale * dot(unit, vector));
}
