import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Checkpoint } from "../checkpoint/open.js";
import { AmalgamError } from "../errors.js";
import { type GraphProto, type ModelProto, ModelProtoSchema, type TensorProto } from "../gen/onnx/onnx_pb.js";
import { quote } from "../quote.js";
import { isEightBit } from "./element-types.js";
import { commonFolder, type Place } from "./external-data.js";
import { castAfterLookup } from "./lookup-tables.js";
import { findStrayData } from "./stray-data.js";
import { hasNoData } from "./tensors.js";
import { mismatch, type Problem } from "./weight-mismatch.js";
import { weightNodes } from "./weight-nodes.js";
import { isProblem, type PlannedWeight, planWeight, type WeightPiece } from "./weight-plan.js";

/** An ONNX model whose weights are ranges of a checkpoint's files. */
export interface BoundModel {
  /** The serialized model. It holds no weights of the checkpoint, however large that is. */
  readonly model: Uint8Array;
  /** The folder that the model's external data is relative to: the checkpoint's own, or the nearest that has all its files. */
  readonly folder: string;
}

/**
 * Where an initializer's numbers are in a checkpoint, when that is not the tensor of the same name. Several of one
 * initializer are its pieces, in order.
 */
export interface WeightBinding extends WeightPiece {
  readonly initializer: string;
}

/**
 * Puts a checkpoint under a graph: every initializer that has no data of its own, or that a binding names, becomes a
 * reference to bytes of the checkpoint: those of the binding's tensor, or of the one with the same name. Nothing is copied,
 * so an agent can map the files. Whatever stands between these bytes and the weight is computed in the graph: a Cast from
 * BF16, F16 or FP8 to FLOAT, FP8's scales, a Transpose, a Concat of pieces.
 *
 * Throws one `checkpoint_mismatch` that lists all weights that are missing or do not fit, `checkpoint_malformed` for bytes
 * that are no model, and `path_refused` for a graph that would read other files than the checkpoint's.
 */
export function bindWeights(
  graphBytes: Uint8Array,
  checkpoint: Checkpoint,
  bindings: readonly WeightBinding[] = [],
): BoundModel {
  const model = parseModel(graphBytes);
  const { graph } = model;
  if (graph === undefined) throw new AmalgamError("checkpoint_malformed", "Cannot read ONNX model: it has no graph");
  assertReadsNoFile(model);
  const pieces = byInitializer(bindings);
  const weights = graph.initializer.filter((tensor) => pieces.has(tensor.name) || hasNoData(tensor));
  const opset = Number(model.opsetImport.find(({ domain }) => domain === "")?.version ?? 1n);
  const problems: Problem[] = strangers(pieces.keys(), graph);
  const plans: PlannedWeight[] = [];
  for (const { name, dims, dataType } of weights) {
    const wanted = { name, shape: dims.map(Number), dataType, opset };
    const plan = planWeight(checkpoint, wanted, pieces.get(name) ?? [{ tensor: name, transposed: false }]);
    if (isProblem(plan)) problems.push(plan);
    else plans.push(plan);
  }
  if (problems.length > 0) throw mismatch(checkpoint, problems, weights.length);
  const folder = commonFolder(checkpoint);
  insert(graph, plans, { checkpoint, folder });
  return { model: toBinary(ModelProtoSchema, model), folder };
}

function parseModel(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new AmalgamError("checkpoint_malformed", "Cannot read ONNX model: it is not one", { cause });
  }
}

function assertReadsNoFile(model: ModelProto): void {
  const stray = findStrayData(model);
  if (stray === undefined) return;
  const location = stray.externalData.find(({ key }) => key === "location")?.value ?? "";
  const what = `its tensor ${quote(stray.name)} would be read from ${quote(location)}`;
  const message = `Cannot bind an ONNX model: ${what}, and only the initializers of its main graph may lie in files`;
  throw new AmalgamError("path_refused", message, { details: { file: location } });
}

/** Bindings by what they bind; of one initializer in their order. */
export function byInitializer(bindings: readonly WeightBinding[]): ReadonlyMap<string, readonly WeightPiece[]> {
  const pieces = new Map<string, WeightPiece[]>();
  for (const binding of bindings) {
    const known = pieces.get(binding.initializer);
    if (known === undefined) pieces.set(binding.initializer, [binding]);
    else known.push(binding);
  }
  return pieces;
}

/** Bindings whose initializer the graph does not have. */
function strangers(bound: Iterable<string>, graph: GraphProto): Problem[] {
  const names = new Set(graph.initializer.map(({ name }) => name));
  return [...bound]
    .filter((name) => !names.has(name))
    .map((name) => ({ name, problem: "the graph has no such weight" }));
}

/** Whoever reads a weight finds it under its name as before; nodes are in dependency order, so those of weights come first. */
function insert(graph: GraphProto, plans: readonly PlannedWeight[], place: Place): void {
  const parts = plans.map((plan) => weightNodes(plan, place));
  const bound = new Set(plans.map(({ name }) => name));
  // Those that weights share, such as the block numbers of FP8's scales, are there once.
  const initializers = new Map<string, TensorProto>();
  for (const tensor of graph.initializer) if (!bound.has(tensor.name)) initializers.set(tensor.name, tensor);
  for (const part of parts) for (const tensor of part.initializers) initializers.set(tensor.name, tensor);
  graph.initializer = [...initializers.values()];
  const tables = new Set(plans.filter(isOnlyCast).map(({ name }) => name));
  graph.node = castAfterLookup([...parts.flatMap(({ nodes }) => nodes), ...graph.node], graph.output, tables);
  // Old exports list weights as inputs too; what a node computes cannot be one.
  const computed = new Set(parts.flatMap(({ nodes }) => nodes.flatMap(({ output }) => output)));
  graph.input = graph.input.filter(({ name }) => !computed.has(name));
}

/** Stored in 16 bits; ONNX's Gather takes these, and no FP8. */
function isOnlyCast({ pieces: [first, ...rest] }: PlannedWeight): boolean {
  return rest.length === 0 && first.reading.needsCast && !first.transposed && !isEightBit(first.tensor.dtype);
}
