import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from "../../../shared/gen/onnx/onnx_pb.js";

/** Makes initializers of the tensors that an export has as Constant nodes: some exporters put weights there. */
export function hoistConstants(graph: GraphProto): void {
  const constants = new Map<NodeProto, TensorProto>();
  for (const node of graph.node) {
    const [value, ...others] = node.attribute;
    const isTensor = node.opType === "Constant" && node.domain === "" && value?.type === AttributeType.TENSOR;
    if (isTensor && value.t !== undefined && others.length === 0 && isList(value.t)) constants.set(node, value.t);
  }
  for (const [{ output }, tensor] of constants) {
    tensor.name = output[0] ?? "";
    graph.initializer.push(tensor);
  }
  graph.node = graph.node.filter((node) => !constants.has(node));
}

/** Single numbers are no weights, and operators that shape others want them where they are. */
function isList({ dims }: TensorProto): boolean {
  return dims.some((size) => size > 1n);
}
