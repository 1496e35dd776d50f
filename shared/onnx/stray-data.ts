import {
  type AttributeProto,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type SparseTensorProto,
  type TensorProto,
} from "../gen/onnx/onnx_pb.js";

/**
 * A tensor whose data the graph wants from a file, anywhere but among the model's own initializers: those become parts of
 * the checkpoint, and this one would be read as it says, from any file that is below the folder of the checkpoint's files.
 */
export function findStrayData({ graph, functions }: ModelProto): TensorProto | undefined {
  const inGraph = graph === undefined ? [] : besidesInitializers(graph);
  const inFunctions = functions.flatMap(({ node, attributeProto }) => [
    ...node.flatMap(tensorsOfNode),
    ...attributeProto.flatMap(tensorsOf),
  ]);
  return [...inGraph, ...inFunctions].find(({ dataLocation }) => dataLocation === DataLocation.EXTERNAL);
}

function besidesInitializers({ node, sparseInitializer }: GraphProto): TensorProto[] {
  return [...node.flatMap(tensorsOfNode), ...sparseInitializer.flatMap(partsOf)];
}

function tensorsOfNode({ attribute }: NodeProto): TensorProto[] {
  return attribute.flatMap(tensorsOf);
}

/** With those of the branches and loops inside a node. */
function tensorsOf({ t, tensors, g, graphs, sparseTensor, sparseTensors }: AttributeProto): TensorProto[] {
  const inner = [...listOf(g), ...graphs];
  return [
    ...listOf(t),
    ...tensors,
    ...[...listOf(sparseTensor), ...sparseTensors].flatMap(partsOf),
    ...inner.flatMap((graph) => [...graph.initializer, ...besidesInitializers(graph)]),
  ];
}

function partsOf({ values, indices }: SparseTensorProto): TensorProto[] {
  return [...listOf(values), ...listOf(indices)];
}

function listOf<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}
