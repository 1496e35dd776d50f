import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "../../../shared/gen/onnx/onnx_pb.js";
import type { BuiltGraph } from "../../../shared/onnx/graph-builder.js";
import type { ModelGraphs } from "../../graphs/types.js";

/** The names of a graph's inputs and outputs. */
export interface GraphEnds {
  readonly inputs: ReadonlySet<string>;
  readonly outputs: ReadonlySet<string>;
}

const nowhere: GraphEnds = { inputs: new Set(), outputs: new Set() };
const known = new WeakMap<BuiltGraph, GraphEnds>();

/** What goes into a graph and comes out of it. Nothing for a graph that is not there. */
export function endsOf(graph: BuiltGraph | undefined): GraphEnds {
  if (graph === undefined) return nowhere;
  const read = known.get(graph) ?? readEnds(graph);
  known.set(graph, read);
  return read;
}

function readEnds({ model }: BuiltGraph): GraphEnds {
  const { graph } = fromBinary(ModelProtoSchema, model);
  return {
    inputs: new Set(graph?.input.map(({ name }) => name)),
    outputs: new Set(graph?.output.map(({ name }) => name)),
  };
}

/** Whether a model says which token comes next: it has a head, or is an export that ends in logits per token. */
export function predictsTokens({ kind, graphs }: ModelGraphs): boolean {
  return graphs.head !== undefined || (kind === "decoder" && endsOf(graphs.body).outputs.has("logits"));
}
