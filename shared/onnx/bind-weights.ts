import { relative, sep } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Checkpoint, CheckpointTensor } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
} from "../../shared/gen/onnx/onnx_pb.js";
import { formatCount, quote } from "../../shared/quote.js";
import { dataTypeName, readingOf } from "./element-types.js";

/** An ONNX model whose weights are ranges of a checkpoint's files. */
export interface BoundModel {
  /** The serialized model. It holds no weights of the checkpoint, however large that is. */
  readonly model: Uint8Array;
  /** The folder that the model's external data is relative to. */
  readonly folder: string;
}

/** A graph and a checkpoint that are strangers disagree on every weight; nobody reads past the first few. */
const maxListed = 20;

/**
 * Puts a checkpoint under a graph: every initializer that has no data of its own becomes a reference to the bytes of the
 * checkpoint's tensor of the same name. Nothing is copied, so an agent can map the files. Where the graph computes in
 * FLOAT and the checkpoint stores BF16 or F16, a Cast stands in between. Throws one `checkpoint_mismatch` that lists all
 * tensors that are missing or do not fit.
 */
export function bindWeights(graphBytes: Uint8Array, checkpoint: Checkpoint): BoundModel {
  const model = parseModel(graphBytes);
  const { graph } = model;
  if (graph === undefined) throw new AmalgamError("checkpoint_malformed", "Cannot read ONNX model: it has no graph");
  const empty = graph.initializer.filter(needsData);
  const problems: string[] = [];
  const casts: NodeProto[] = [];
  for (const initializer of empty) {
    const { name } = initializer;
    const bound = bind(initializer, checkpoint);
    if (typeof bound === "string") problems.push(`${quote(name)}: ${bound}`);
    else if (bound.cast !== undefined) casts.push(bound.cast);
  }
  if (problems.length > 0) throw mismatch(checkpoint, problems, empty.length);
  // Whoever reads a weight finds it under its name as before; nodes are in dependency order, so casts come first.
  graph.node = [...casts, ...graph.node];
  removeInputs(graph, new Set(casts.flatMap((cast) => cast.output)));
  return { model: toBinary(ModelProtoSchema, model), folder: checkpoint.root };
}

function parseModel(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new AmalgamError("checkpoint_malformed", "Cannot read ONNX model: it is not one", { cause });
  }
}

/** Not embedded in the graph. Where external data once was does not matter: the checkpoint takes its place. */
function needsData(tensor: TensorProto): boolean {
  if (tensor.dataLocation === DataLocation.EXTERNAL) return true;
  if (tensor.dims.includes(0n)) return false;
  const { rawData, floatData, doubleData, int32Data, int64Data, uint64Data, stringData } = tensor;
  return [rawData, floatData, doubleData, int32Data, int64Data, uint64Data, stringData].every((data) => !data.length);
}

/** Rewrites one initializer in place; returns the Cast it needs, if any, or what is wrong. */
function bind(initializer: TensorProto, checkpoint: Checkpoint): { readonly cast: NodeProto | undefined } | string {
  const { name, dims, dataType: wanted } = initializer;
  const tensor = checkpoint.tensors.get(name);
  if (tensor === undefined) return "the checkpoint has no tensor of this name";
  const shape = tensor.shape.map(BigInt);
  if (dims.length !== shape.length || dims.some((dimension, i) => dimension !== shape[i])) {
    return `the graph wants shape [${dims.join(", ")}], the checkpoint has [${tensor.shape.join(", ")}]`;
  }
  const reading = readingOf(tensor.dtype, wanted);
  if (reading === undefined) {
    return `the graph wants ${dataTypeName(wanted)}, the checkpoint has ${tensor.dtype}, which is not converted`;
  }

  initializer.dataType = reading.stored;
  initializer.dataLocation = DataLocation.EXTERNAL;
  initializer.externalData = Object.entries(placeOf(tensor, checkpoint)).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value: String(value) }),
  );
  if (!reading.needsCast) return { cast: undefined };
  initializer.name = `${name}/stored`;
  return { cast: castNode(initializer.name, name, wanted) };
}

/** The three keys of external data, as the ONNX specification names them. */
function placeOf(tensor: CheckpointTensor, checkpoint: Checkpoint) {
  const file = checkpoint.files[tensor.file];
  if (file === undefined) throw new RangeError(`Tensor ${quote(tensor.name)} is in file ${tensor.file}, which is none`);
  const location = relative(checkpoint.root, file.path);
  if (location === ".." || location.startsWith(`..${sep}`)) {
    // ONNX Runtime takes external data from below one folder only.
    const message = `Cannot evaluate ${quote(file.path)}: it is outside ${quote(checkpoint.root)}`;
    throw new AmalgamError("path_refused", message, { details: { file: file.path } });
  }
  return { location, offset: tensor.offset, length: tensor.bytes };
}

function castNode(from: string, to: string, dataType: number): NodeProto {
  return create(NodeProtoSchema, {
    opType: "Cast",
    name: `${to}/cast`,
    input: [from],
    output: [to],
    attribute: [{ name: "to", type: AttributeType.INT, i: BigInt(dataType) }],
  });
}

/** Old exports list weights as inputs too; what a Cast computes cannot be one. */
function removeInputs(graph: GraphProto, names: ReadonlySet<string>): void {
  graph.input = graph.input.filter(({ name }) => !names.has(name));
}

function mismatch({ directory }: Checkpoint, problems: readonly string[], weights: number): AmalgamError {
  const count = `${formatCount(problems.length)} of ${formatCount(weights)} weights do not fit`;
  const lines = problems.slice(0, maxListed).map((problem) => `  ${problem}`);
  if (problems.length > maxListed) lines.push(`  and ${formatCount(problems.length - maxListed)} more`);
  const message = `Cannot bind checkpoint ${quote(directory)} to the graph, ${count}:\n${lines.join("\n")}`;
  return new AmalgamError("checkpoint_mismatch", message, { details: { checkpoint: directory } });
}
