import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "../gen/onnx/onnx_pb.js";

/** Not embedded in the graph. Where external data once was does not matter: the checkpoint takes its place. */
export function hasNoData(tensor: TensorProto): boolean {
  if (tensor.dataLocation === DataLocation.EXTERNAL) return true;
  if (tensor.dims.includes(0n)) return false;
  const { rawData, floatData, doubleData, int32Data, int64Data, uint64Data, stringData } = tensor;
  return [rawData, floatData, doubleData, int32Data, int64Data, uint64Data, stringData].every((data) => !data.length);
}

/** An initializer of whole numbers, one dimension. */
export function indices(name: string, numbers: readonly number[]): TensorProto {
  const rawData = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
  return create(TensorProtoSchema, { name, dims: [BigInt(numbers.length)], dataType: DataType.INT64, rawData });
}

/** A node with one output, after which it is named. Attributes are whole numbers or lists of them. */
export function makeNode(
  opType: string,
  input: readonly string[],
  output: string,
  attributes: Readonly<Record<string, number | readonly number[]>> = {},
): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]): MessageInitShape<typeof AttributeProtoSchema> => {
    if (typeof value === "number") return { name, type: AttributeType.INT, i: BigInt(value) };
    return { name, type: AttributeType.INTS, ints: value.map(BigInt) };
  });
  return create(NodeProtoSchema, { opType, name: output, input: [...input], output: [output], attribute });
}
