import { AmalgamError } from "../../../shared/errors.js";
import { quote, quoteList } from "../../../shared/quote.js";
import { suggest } from "../../../shared/suggest.js";
import type { AnyTask } from "../tasks/settings.js";
import { prepareClassification } from "./classification.js";
import type { PrepareContext, Prepared } from "./context.js";
import { prepareCustom } from "./custom.js";
import { prepareGeneration } from "./generation.js";
import { taskError } from "./mismatch.js";
import { prepareMultiLabel } from "./multi-label.js";
import { prepareMultipleChoice } from "./multiple-choice.js";
import { preparePerplexity } from "./perplexity.js";
import { prepareRetrieval } from "./retrieval.js";
import { prepareSimilarity } from "./similarity.js";

/**
 * Makes of a task what one model is run on: reads the data, cuts texts into tokens and examples into batches. Throws
 * `checkpoint_mismatch` for a model that cannot do such a task, and `usage` with its place for data that does not fit.
 */
export async function prepareTask(task: AnyTask, context: PrepareContext): Promise<Prepared> {
  const prepared = await prepareKind(task, namingTask(task, context));
  const names = prepared.metrics.map(({ name }) => name);
  if (task.metric === undefined || names.includes(task.metric)) return prepared;
  const near = suggest(task.metric, names);
  const hint = near === undefined ? "" : `, did you mean ${quote(near)}?`;
  throw taskError(task, `Metric ${quote(task.metric)} is not one of ${quoteList(names, names.length)}${hint}`);
}

/** The context, whose complaints about the model say which task wants it to be another. */
function namingTask(task: AnyTask, context: PrepareContext): PrepareContext {
  return {
    directory: context.directory,
    config: context.config,
    tokenizer: () => context.tokenizer(),
    images: () => context.images(),
    readRows: (source, options) => context.readRows(source, options),
    graphs: (needs) => {
      try {
        return context.graphs(needs);
      } catch (cause) {
        const error = AmalgamError.from(cause);
        if (error.code !== "checkpoint_mismatch") throw error;
        const message = `Cannot run task ${quote(task.name)} of kind ${quote(task.kind)}: ${error.message}`;
        throw new AmalgamError(error.code, message, { cause, details: { ...error.details, task: task.name } });
      }
    },
  };
}

function prepareKind(task: AnyTask, context: PrepareContext): Promise<Prepared> {
  switch (task.kind) {
    case "classification":
      return prepareClassification(task, context);
    case "multiple_choice":
      return prepareMultipleChoice(task, context);
    case "perplexity":
      return preparePerplexity(task, context);
    case "generation":
      return prepareGeneration(task, context);
    case "similarity":
      return prepareSimilarity(task, context);
    case "retrieval":
      return prepareRetrieval(task, context);
    case "multi_label":
      return prepareMultiLabel(task, context);
    case "custom":
      return prepareCustom(task, context);
  }
}
