import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  ValueInfoProtoSchema,
} from "../../../shared/gen/onnx/onnx_pb.js";
import { GraphBuilder } from "../../../shared/onnx/graph-builder.js";
import { pool } from "../../graphs/blocks/pooling.js";
import type { Pooling } from "../../graphs/types.js";

/** Keeps names of what is appended apart from an export's own. */
const prefix = "amalgam/";

/** The export with one output, called `name`, which is its output `from`. */
export function endingIn(model: Uint8Array, from: string, name: string): Uint8Array {
  const changed = fromBinary(ModelProtoSchema, model);
  const graph = graphOf(changed);
  if (from !== name) {
    rename(graph, name);
    graph.node.push(
      create(NodeProtoSchema, { opType: "Identity", name: `${prefix}end`, input: [from], output: [name] }),
    );
  }
  const described = graph.output.find((output) => output.name === from);
  graph.output = [create(ValueInfoProtoSchema, { name, ...(described?.type && { type: described.type }) })];
  return toBinary(ModelProtoSchema, changed);
}

/**
 * The export with one output, `vectors` [batch, width]: its output `from`, [batch, time, width], pooled over the tokens of
 * its input `attention_mask`.
 */
export function endingInPooled(model: Uint8Array, from: string, mode: Exclude<Pooling["mode"], "pooler">): Uint8Array {
  const changed = fromBinary(ModelProtoSchema, model);
  const graph = graphOf(changed);
  const tail = tailOf((g) => {
    const hidden = g.input(from, "FLOAT", ["batch", "time", "width"]);
    const mask = g.input("attention_mask", "INT64", ["batch", "time"]);
    // Vectors are compared by their angle, so their length may stay.
    g.output("vectors", pool(g, hidden, mask, { mode, normalize: false }), "FLOAT", ["batch", "width"]);
  });
  const own = new Set([from, "attention_mask", "vectors", ""]);
  const apart = (name: string): string => (own.has(name) ? name : `${prefix}${name}`);
  rename(graph, "vectors");
  for (const node of tail.node) {
    node.name = apart(node.name);
    node.input = node.input.map(apart);
    node.output = node.output.map(apart);
  }
  for (const tensor of tail.initializer) tensor.name = apart(tensor.name);
  graph.node.push(...tail.node);
  graph.initializer.push(...tail.initializer);
  graph.output = tail.output;
  return toBinary(ModelProtoSchema, changed);
}

function tailOf(write: (g: GraphBuilder) => void): GraphProto {
  const g = new GraphBuilder("tail");
  write(g);
  return graphOf(fromBinary(ModelProtoSchema, g.build().model));
}

/** Moves whatever an export calls by this name out of the way. */
function rename(graph: GraphProto, taken: string): void {
  const moved = (name: string): string => (name === taken ? `${prefix}export/${name}` : name);
  for (const node of graph.node) {
    node.input = node.input.map(moved);
    node.output = node.output.map(moved);
  }
}

function graphOf({ graph }: ModelProto): GraphProto {
  if (graph === undefined) throw new TypeError("A graph was read before, and is gone");
  return graph;
}
