import { existsSync } from "node:fs";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../shared/errors.js";
import { ModelProtoSchema, type TensorProto } from "../../../shared/gen/onnx/onnx_pb.js";
import { hasNoData } from "../../../shared/onnx/tensors.js";
import { formatCount, quote, quoteList } from "../../../shared/quote.js";
import { ConfigReader, readLabels } from "../../graphs/config.js";
import type { ModelGraphs, ModelKind, Pooling } from "../../graphs/types.js";
import { formatQuantity } from "../../plan/report.js";
import type { GraphNeeds } from "../kinds/context.js";
import { type BoundExport, bindExport } from "./bind-export.js";
import { describeExport, type ExportValue } from "./describe-export.js";
import { endingIn, endingInPooled } from "./ending.js";
import { readExport } from "./read-export.js";

/** An ONNX export to run checkpoints with. */
export interface ExportRequest {
  readonly file: string;
  /** The checkpoint that it was exported from. Needed where its weights are inside or under other names. */
  readonly base: string | undefined;
}

/** An export, ready for any checkpoint like its base. */
export interface OpenedExport extends Pick<BoundExport, "model" | "weights" | "bindings" | "description"> {
  readonly file: string;
  /** What is worth a line for people. */
  readonly notes: readonly string[];
}

/**
 * Opens an export. Weights without data are those of the checkpoint with the same names; where all have data, they are
 * found in the base by value. Fails with `checkpoint_malformed`, `checkpoint_mismatch` or `usage`.
 */
export async function openExport({ file, base }: ExportRequest): Promise<OpenedExport> {
  const { model, graph, folder } = await readExport(file);
  const weights = graph.initializer.filter(hasNoData);
  const isHollow = weights.length > 0 && weights.every((weight) => !isOnDisk(weight, folder));
  if (base !== undefined && !isHollow) {
    const bound = await bindExport(file, await openCheckpoint(base));
    return { ...bound, file, notes: notesOf(bound) };
  }
  if (!isHollow) {
    const message =
      `Cannot put another checkpoint under ${quote(file)}: its weights are inside. ` +
      "Name the checkpoint that it was exported from with --graph-base, so that they can be told apart";
    throw new AmalgamError("usage", message, { details: { file } });
  }
  return {
    file,
    model: toBinary(ModelProtoSchema, model),
    weights: weights.map(({ name, dims }) => ({ name, shape: dims.map(Number) })),
    bindings: [],
    description: describeExport(graph),
    notes: [],
  };
}

function isOnDisk({ externalData }: TensorProto, folder: string): boolean {
  const location = externalData.find(({ key }) => key === "location")?.value;
  return location !== undefined && existsSync(join(folder, location));
}

function notesOf({ report: { bound, ties, kept, unused } }: BoundExport): readonly string[] {
  return [
    `${formatCount(bound)} weights of the export were found in its base, by value`,
    ...(ties.length === 0
      ? []
      : [`${formatCount(ties.length)} of them equal several tensors, and went by name and order`]),
    ...(kept.length === 0
      ? []
      : [
          `${formatQuantity(kept.length, "constant")} of the export's own ${kept.length === 1 ? "stays as it is" : "stay as they are"}`,
        ]),
    ...(unused.length === 0 ? [] : [`not in the export: ${quoteList(unused)}`]),
  ];
}

/**
 * An export as the graphs of one model, with the output that a task needs: logits, or vectors, pooled where the export
 * gives hidden states.
 */
export function exportGraphs(
  exported: OpenedExport,
  { output, pooling }: GraphNeeds,
  { config, configFile }: { readonly config: unknown; readonly configFile: string },
): ModelGraphs {
  const { weights, bindings, description } = exported;
  assertAnySize(exported);
  const reader = config === undefined ? undefined : new ConfigReader(config, configFile);
  const kind = kindOf(description.outputs);
  const shape = description.inputs.find(({ name }) => name === "pixel_values")?.shape ?? [];
  const [channels, height, width] = shape.slice(1).map((size) => (typeof size === "number" ? size : 0));
  const logits = findLogits(description.outputs);
  const vocabulary = logits?.shape.at(-1);
  return {
    family: reader?.word("model_type", "export") ?? "export",
    kind,
    graphs: { body: { model: bodyOf(exported, output, pooling), weights, bindings } },
    maxTokens: reader?.count("max_position_embeddings", 0) || undefined,
    vocabulary: kind === "decoder" && typeof vocabulary === "number" ? vocabulary : undefined,
    image: channels && height && width ? { channels, height, width } : undefined,
    labels: reader && readLabels(reader),
  };
}

/** Batches differ in the number of examples, and texts in their length. */
function assertAnySize({ description, file }: OpenedExport): void {
  for (const { name, shape } of description.inputs) {
    const free = name === "pixel_values" ? shape.slice(0, 1) : shape.slice(0, 2);
    if (!free.some((size) => typeof size === "number")) continue;
    const shown = shape.map((size) => size ?? "?").join(", ");
    const problem = `its input ${quote(name)} is [${shown}], of fixed size; export it with dynamic axes`;
    throw new AmalgamError("checkpoint_mismatch", `Cannot run tasks by ${quote(file)}: ${problem}`, {
      details: { file },
    });
  }
}

function kindOf(outputs: readonly ExportValue[]): ModelKind {
  const logits = findLogits(outputs);
  if (logits === undefined) return "encoder";
  return logits.shape.length === 3 ? "decoder" : "classifier";
}

function findLogits(outputs: readonly ExportValue[]): ExportValue | undefined {
  return outputs.find(({ name }) => name === "logits");
}

/** Outputs that are embeddings already, by the names that exporters give them. */
const embeddings = ["sentence_embedding", "image_embeds", "text_embeds", "vectors"];

function bodyOf(
  { model, description, file }: OpenedExport,
  output: GraphNeeds["output"],
  pooling?: Pooling,
): Uint8Array {
  const { outputs, inputs } = description;
  const [first] = outputs;
  const named = (name: string): boolean => outputs.some((one) => one.name === name);
  if (output === "vectors") {
    const embedding =
      embeddings.find(named) ?? (pooling?.mode === "pooler" && named("pooler_output") ? "pooler_output" : undefined);
    if (embedding !== undefined) return endingIn(model, embedding, "vectors");
    const hidden = outputs.find(({ name, shape }) => name === "last_hidden_state" || shape.length === 3);
    if (hidden !== undefined && inputs.some(({ name }) => name === "attention_mask") && pooling?.mode !== "pooler") {
      return endingInPooled(model, hidden.name, pooling?.mode ?? "mean");
    }
    if (first?.shape.length === 2) return endingIn(model, first.name, "vectors");
  }
  const logits = findLogits(outputs)?.name ?? (outputs.length === 1 && output !== "vectors" ? first?.name : undefined);
  if (logits !== undefined && output !== "vectors") return endingIn(model, logits, "logits");
  throw new AmalgamError(
    "checkpoint_mismatch",
    `Cannot take ${output ?? "logits"} from ${quote(file)}: its outputs are ${quoteList(outputs.map(({ name }) => name))}`,
    { details: { file } },
  );
}
