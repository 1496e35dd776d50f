import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AmalgamError } from "../../shared/errors.js";
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  type GraphProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "../../shared/gen/onnx/onnx_pb.js";
import type { BuiltGraph } from "../../shared/onnx/graph-builder.js";
import { quote } from "../../shared/quote.js";
import type { ModelGraphs, Tap } from "./types.js";

/** The output that has them. */
export const tapsOutput = "taps";

/** Of one example, as F32: an agent may answer 8 MiB at once. */
const maxTapNumbers = 2_000_000;

/**
 * Adds to a model's body one more output, `taps` [1, numbers], of the inputs of its linear layers; for batches of one
 * example, in which nothing is padding. It holds how many rows each tap has, then their rows, tap after tap; see
 * {@link readTaps}. Of long examples every second token is given, or every third, … so that it has at most two million
 * numbers. Fails with `checkpoint_mismatch` for a model without a body, or without linear layers in it.
 */
export function withTaps(model: ModelGraphs, maxNumbers: number = maxTapNumbers): ModelGraphs {
  const { body } = model.graphs;
  if (body === undefined) throw cannotTap(model, "it is not one graph from inputs to outputs");
  const { graph, taps } = tapGraph(body, maxNumbers);
  if (taps.length === 0) throw cannotTap(model, "it has no linear layers that stand by themselves");
  return { ...model, graphs: { ...model.graphs, body: { ...body, ...graph } }, taps };
}

/** The rows of every tap in one example's `taps`, in the order of the taps. They are views. */
export function readTaps(taps: readonly Tap[], numbers: Float32Array): readonly Float32Array[] {
  let end = taps.length;
  const rows = taps.map(({ width }, i) => {
    const begin = end;
    end += width * (numbers[i] ?? 0);
    return numbers.subarray(begin, end);
  });
  if (end === numbers.length) return rows;
  throw new AmalgamError("chunk_corrupt", `Inputs of layers came as ${numbers.length} numbers instead of ${end}`);
}

function tapGraph(
  built: BuiltGraph,
  maxNumbers: number,
): { readonly graph: BuiltGraph; readonly taps: readonly Tap[] } {
  const model = fromBinary(ModelProtoSchema, built.model);
  const inputs = linearInputs(model.graph, built);
  const taps = [...inputs.values()];
  if (model.graph === undefined || taps.length === 0) return { graph: built, taps };
  new TapWriter(model.graph).write([...inputs], maxNumbers);
  return { graph: { ...built, model: toBinary(ModelProtoSchema, model) }, taps };
}

/** By the value that they are computed from: layers that share their input share a tap. */
function linearInputs(graph: GraphProto | undefined, { weights }: BuiltGraph): ReadonlyMap<string, Tap> {
  const shapes = new Map(weights.map(({ name, shape }) => [name, shape]));
  const taps = new Map<string, Tap>();
  for (const { opType, input, attribute } of graph?.node ?? []) {
    const [x, weight] = input;
    const shape = shapes.get(weight ?? "");
    if (opType !== "Gemm" || x === undefined || weight === undefined || shape === undefined) continue;
    // As stored, [out, in]; GPT-2's are the other way.
    const transposed = !attribute.some(({ name, i }) => name === "transB" && i === 1n);
    const width = shape[transposed ? 0 : 1] ?? 0;
    const layers = taps.get(x)?.layers ?? [];
    taps.set(x, { width, layers: [...layers, { weight, transposed }] });
  }
  return taps;
}

/** Writes the nodes that join taps into one output. */
class TapWriter {
  readonly #graph: GraphProto;
  #made = 0;

  constructor(graph: GraphProto) {
    this.#graph = graph;
  }

  write(taps: readonly (readonly [value: string, tap: Tap])[], maxNumbers: number): void {
    const total = taps.reduce((sum, [, { width }]) => sum + width, 0);
    const most = Math.max(1, Math.floor((maxNumbers - taps.length) / total));
    const flat = this.#integers(-1);
    const kept = taps.map(([value]) => this.#thinned(value, most));
    const counts = kept.map((value) => this.#op("Cast", [this.#rows(value)], int("to", DataType.FLOAT)));
    const rows = kept.map((value) => this.#op("Reshape", [value, flat]));
    const joined = this.#op("Concat", [...counts, ...rows], int("axis", 0));
    this.#op("Unsqueeze", [joined, this.#integers(0)], undefined, tapsOutput);
    const dim = [
      { value: { case: "dimValue", value: 1n } as const },
      { value: { case: "dimParam", value: "numbers" } as const },
    ];
    const type = { value: { case: "tensorType", value: { elemType: DataType.FLOAT, shape: { dim } } } } as const;
    this.#graph.output.push(create(ValueInfoProtoSchema, { name: tapsOutput, type }));
  }

  /** At most so many of its rows, evenly. */
  #thinned(value: string, most: number): string {
    const rows = this.#rows(value);
    const step = this.#op("Div", [this.#op("Add", [rows, this.#integers(most - 1)]), this.#integers(most)]);
    return this.#op("Slice", [value, this.#integers(0), rows, this.#integers(0), step]);
  }

  #rows(value: string): string {
    return this.#op("Shape", [value], [...int("start", 0), ...int("end", 1)]);
  }

  #integers(...numbers: readonly number[]): string {
    const name = `taps/constant/${this.#made++}`;
    const rawData = new Uint8Array(BigInt64Array.from(numbers.map(BigInt)).buffer);
    const dims = [BigInt(numbers.length)];
    this.#graph.initializer.push(create(TensorProtoSchema, { name, dims, dataType: DataType.INT64, rawData }));
    return name;
  }

  #op(
    opType: string,
    input: string[],
    attribute: MessageInitShape<typeof AttributeProtoSchema>[] = [],
    output = `taps/${opType}/${this.#made++}`,
  ): string {
    this.#graph.node.push(create(NodeProtoSchema, { opType, name: output, input, output: [output], attribute }));
    return output;
  }
}

function int(name: string, value: number): MessageInitShape<typeof AttributeProtoSchema>[] {
  return [{ name, type: AttributeType.INT, i: BigInt(value) }];
}

function cannotTap({ family }: ModelGraphs, problem: string): AmalgamError {
  const message = `Cannot look at the inputs of layers of a model of type ${quote(family)}: ${problem}`;
  return new AmalgamError("checkpoint_mismatch", message);
}
