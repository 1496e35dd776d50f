import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readRows } from "../../coordinator/evaluate/data/read-rows.js";
import { readProcessor } from "../../coordinator/evaluate/images/processor.js";
import type { Prepared } from "../../coordinator/evaluate/kinds/context.js";
import { prepareTask } from "../../coordinator/evaluate/kinds/prepare.js";
import { parseTasks } from "../../coordinator/evaluate/tasks/parse.js";
import { openTextTokenizer } from "../../coordinator/evaluate/text/tokenizer.js";
import type { GraphRole, ModelGraphs } from "../../coordinator/graphs/types.js";
import { type BuiltGraph, GraphBuilder } from "../../shared/onnx/graph-builder.js";
import { repositoryPath } from "./repository.js";

/** Graphs that have ends and compute nothing. By role: the names of inputs and outputs. */
export function modelGraphs(
  kind: ModelGraphs["kind"],
  roles: Readonly<Partial<Record<GraphRole, readonly [inputs: readonly string[], outputs: readonly string[]]>>>,
  more: Partial<ModelGraphs> = {},
): ModelGraphs {
  const graphs: Partial<Record<GraphRole, BuiltGraph>> = {};
  for (const [role, [inputs, outputs]] of Object.entries(roles)) {
    const builder = new GraphBuilder(role);
    const values = inputs.map((name) => builder.input(name, "INT64", ["batch", "time"]));
    for (const [i, name] of outputs.entries()) {
      const value = values[i % values.length];
      if (value !== undefined) builder.output(name, value, "INT64", ["batch", "time"]);
    }
    graphs[role as GraphRole] = builder.build();
  }
  return { family: "made-up", kind, graphs, maxTokens: 32, vocabulary: 500, ...more };
}

/** Prepares the one task of a task file, which stands in `folder` with its data, for a checkpoint with a tokenizer. */
export async function prepareInFolder(
  folder: string,
  taskYaml: string,
  files: Readonly<Record<string, string>>,
  model: { readonly graphs: ModelGraphs; readonly tokenizer?: string },
): Promise<Prepared> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const [task] = parseTasks(`tasks:\n  t: ${taskYaml}\n`, join(folder, "tasks.yaml"));
  if (task === undefined) throw new Error("The task file has no task");
  const directory = tokenizerFolder(model.tokenizer);
  return prepareTask(task, {
    directory,
    config: {},
    graphs: () => model.graphs,
    tokenizer: () => openTextTokenizer(directory),
    images: () => readProcessor(directory),
    readRows,
  });
}

/** A folder of test/conformance/evaluate/tokenizers/. */
export function tokenizerFolder(name = "byte-level"): string {
  return repositoryPath("test/conformance/evaluate/tokenizers", name);
}

/** JSON Lines. */
export function jsonLines(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}
