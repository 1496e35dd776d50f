import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "../gen/onnx/onnx_pb.js";
import { quote } from "../quote.js";

/** A tensor that flows through a graph: an input, a weight, a constant, or what a node computes. */
export interface Value {
  readonly name: string;
}

/** The element types that graphs compute in. Weights are FLOAT to a graph, however a checkpoint stores them. */
export type ElementType = "FLOAT" | "INT64" | "INT32" | "UINT8" | "BOOL";

/** A size, or a name for one that is known when the graph runs. */
export type Dimension = number | string;

export type Attribute = number | bigint | string | readonly number[] | { readonly float: number };

/** A weight that a graph wants, for checking a checkpoint before it is loaded. */
export interface GraphWeight {
  /** The checkpoint's name for it. */
  readonly name: string;
  readonly shape: readonly number[];
}

/** A finished graph. */
export interface BuiltGraph {
  /** A serialized ONNX model: its weights have names and shapes and no data. */
  readonly model: Uint8Array;
  readonly weights: readonly GraphWeight[];
}

/** RMSNormalization, RotaryEmbedding and Attention came with it. */
const opset = 23n;
const irVersion = 11n;

/**
 * Writes an ONNX graph node by node, in the order of computing. A weight is named after the checkpoint's tensor and has
 * no data: `bindWeights` puts a checkpoint under it.
 *
 * Attributes: a whole number is an INT, a list of whole numbers INTS, a text a STRING; `{ float: 1e-5 }` is a FLOAT.
 */
export class GraphBuilder {
  readonly #name: string;
  #nodes: MessageInitShape<typeof NodeProtoSchema>[] = [];
  /** Nodes so far, those of branches among them. */
  #made = 0;
  readonly #initializers = new Map<string, MessageInitShape<typeof TensorProtoSchema>>();
  readonly #weights = new Map<string, GraphWeight>();
  readonly #constants = new Map<string, Value>();
  readonly #inputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #outputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #domains = new Set<string>();

  constructor(name: string) {
    this.#name = name;
  }

  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    this.#inputs.push(valueInfo(name, type, shape));
    return { name };
  }

  /** The checkpoint's tensor of this name. It may be asked for more than once, as a tied head does. */
  weight(name: string, shape: readonly number[]): Value {
    const known = this.#weights.get(name);
    if (known !== undefined && known.shape.join() !== shape.join()) {
      throw new RangeError(`Weight ${quote(name)} is wanted as [${known.shape.join()}] and as [${shape.join()}]`);
    }
    this.#weights.set(name, { name, shape });
    this.#initializers.set(name, {
      name,
      dims: shape.map(BigInt),
      dataType: DataType.FLOAT,
      dataLocation: DataLocation.EXTERNAL,
      externalData: [{ key: "location", value: "checkpoint" }],
    });
    return { name };
  }

  /** Numbers that are part of the graph. `shape` defaults to a list's length, and to none for a single number. */
  constant(type: ElementType, numbers: number | readonly number[], shape?: readonly number[]): Value {
    const list = typeof numbers === "number" ? [numbers] : numbers;
    const dims = shape ?? (typeof numbers === "number" ? [] : [list.length]);
    const key = `${type}:${dims.join()}:${list.join()}`;
    const known = list.length <= 64 ? this.#constants.get(key) : undefined;
    if (known !== undefined) return known;
    const name = `constant/${this.#initializers.size}`;
    this.#initializers.set(name, {
      name,
      dims: dims.map(BigInt),
      dataType: DataType[type],
      rawData: encode(type, list),
    });
    this.#constants.set(key, { name });
    return { name };
  }

  /** A node with one output. Inputs that are undefined are left out, as the operator allows. */
  op(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): Value {
    const [output] = this.ops(type, inputs, 1, attributes, domain);
    if (output === undefined) throw new RangeError(`${type} has no output`);
    return output;
  }

  /** A node with several outputs. */
  ops(
    type: string,
    inputs: readonly (Value | undefined)[],
    outputs: number,
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): readonly Value[] {
    const at = this.#made++;
    const names = Array.from({ length: outputs }, (_, i) => (i === 0 ? `${type}/${at}` : `${type}/${at}/${i}`));
    if (domain !== "") this.#domains.add(domain);
    this.#nodes.push({
      opType: type,
      name: `${type}/${at}`,
      domain,
      input: inputs.map((value) => value?.name ?? ""),
      output: names,
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    });
    return names.map((name) => ({ name }));
  }

  /**
   * What `then` computes where `condition`, one BOOL, holds, and otherwise what `otherwise` does: both FLOAT. Values that a
   * branch computes are seen only there; weights and constants belong to the whole graph.
   */
  branch(condition: Value, then: () => Value, otherwise: () => Value): Value {
    const name = `If/${this.#made++}`;
    const attribute = [this.#branch("then_branch", then), this.#branch("else_branch", otherwise)];
    this.#nodes.push({ opType: "If", name, input: [condition.name], output: [name], attribute });
    return { name };
  }

  #branch(name: string, compute: () => Value): MessageInitShape<typeof AttributeProtoSchema> {
    const outside = this.#nodes;
    this.#nodes = [];
    const { name: output } = compute();
    const type = { value: { case: "tensorType", value: { elemType: DataType.FLOAT } } } as const;
    const g = { name, node: this.#nodes, output: [{ name: output, type }] };
    this.#nodes = outside;
    return { name, type: AttributeType.GRAPH, g };
  }

  /** Makes a value an output of the graph, under a name of its own. */
  output(name: string, value: Value, type: ElementType, shape: readonly Dimension[]): void {
    this.#nodes.push({ opType: "Identity", name: `output/${name}`, input: [value.name], output: [name] });
    this.#outputs.push(valueInfo(name, type, shape));
  }

  build(): BuiltGraph {
    const graph: MessageInitShape<typeof GraphProtoSchema> = {
      name: this.#name,
      node: this.#nodes,
      initializer: [...this.#initializers.values()],
      input: this.#inputs,
      output: this.#outputs,
    };
    const opsetImport = [
      { domain: "", version: opset },
      ...[...this.#domains].toSorted().map((domain) => ({ domain, version: 1n })),
    ];
    const model = toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion, opsetImport, graph }));
    return { model, weights: [...this.#weights.values()] };
  }
}

function valueInfo(name: string, type: ElementType, shape: readonly Dimension[]) {
  const dim = shape.map((size) =>
    typeof size === "number"
      ? ({ value: { case: "dimValue", value: BigInt(size) } } as const)
      : ({ value: { case: "dimParam", value: size } } as const),
  );
  return {
    name,
    type: { value: { case: "tensorType", value: { elemType: DataType[type], shape: { dim } } } },
  } as const;
}

function attribute(name: string, value: Attribute): MessageInitShape<typeof AttributeProtoSchema> {
  if (typeof value === "string") return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if (typeof value === "number" || typeof value === "bigint")
    return { name, type: AttributeType.INT, i: BigInt(value) };
  if ("float" in value) return { name, type: AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeType.INTS, ints: value.map(BigInt) };
}

function encode(type: ElementType, numbers: readonly number[]): Uint8Array {
  switch (type) {
    case "FLOAT":
      return new Uint8Array(Float32Array.from(numbers).buffer);
    case "INT64":
      return new Uint8Array(BigInt64Array.from(numbers.map(BigInt)).buffer);
    case "INT32":
      return new Uint8Array(Int32Array.from(numbers).buffer);
    default:
      return Uint8Array.from(numbers);
  }
}
