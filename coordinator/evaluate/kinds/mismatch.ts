import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { ModelGraphs } from "../../graphs/types.js";
import type { Row, Task } from "../types.js";
import type { PrepareContext } from "./context.js";

/** The error for a model that cannot do what a task asks for. `needed`: what would do, as in "a decoder". */
export function mismatch(task: Task, context: PrepareContext, graphs: ModelGraphs, needed: string): AmalgamError {
  const { directory } = context;
  const model = `${quote(directory)} is ${article[graphs.kind]} (model_type ${quote(graphs.family)})`;
  return new AmalgamError(
    "checkpoint_mismatch",
    `Cannot run task ${quote(task.name)}: ${model}, and kind ${quote(task.kind)} needs ${needed}`,
    { details: { directory, task: task.name, place: placeOf(task) } },
  );
}

/** The error for an answer that a row of data gives and nothing can be made of. */
export function rowError(row: Row, problem: string): AmalgamError {
  return new AmalgamError("usage", `${row.place}  ${problem}`, { details: { place: row.place } });
}

/** The error for a task whose settings do not go together with what its data or model turned out to be. */
export function taskError(task: Task, problem: string): AmalgamError {
  const place = placeOf(task);
  return new AmalgamError("usage", `${place}  Task ${quote(task.name)}: ${problem}`, { details: { place } });
}

function placeOf({ file, at }: Task): string {
  return `${file}:${at.line}:${at.column}`;
}

const article: Readonly<Record<ModelGraphs["kind"], string>> = {
  decoder: "a decoder",
  encoder: "a model that gives vectors",
  classifier: "a classifier",
  seq2seq: "an encoder-decoder",
  "image-text": "a model of images and texts",
};
