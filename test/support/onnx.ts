import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "../../shared/gen/onnx/onnx_pb.js";

export { DataType };

/** What a small ONNX model is made of. */
export interface TestGraph {
  readonly inputs: readonly MessageInitShape<typeof ValueInfoProtoSchema>[];
  readonly initializers: readonly MessageInitShape<typeof TensorProtoSchema>[];
  readonly nodes: readonly MessageInitShape<typeof NodeProtoSchema>[];
  readonly outputs: readonly MessageInitShape<typeof ValueInfoProtoSchema>[];
}

/** A serialized model of the given parts. */
export function formatGraph({ inputs, initializers, nodes, outputs }: TestGraph): Uint8Array {
  const graph = {
    name: "test",
    node: [...nodes],
    initializer: [...initializers],
    input: [...inputs],
    output: [...outputs],
  };
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ version: 17n }], graph }),
  );
}

/** A weight without data, as the example's graph has them. */
export function emptyWeight(name: string, dims: readonly number[], dataType: DataType = DataType.FLOAT) {
  const externalData = [{ key: "location", value: "checkpoint" }];
  return { name, dims: dims.map(BigInt), dataType, dataLocation: DataLocation.EXTERNAL, externalData };
}

/** An input or output. A dimension that is a text is free. */
export function value(name: string, dims: readonly (number | string)[], elemType: DataType = DataType.FLOAT) {
  const dim = dims.map((size) =>
    typeof size === "number"
      ? ({ value: { case: "dimValue", value: BigInt(size) } } as const)
      : ({ value: { case: "dimParam", value: size } } as const),
  );
  return { name, type: { value: { case: "tensorType", value: { elemType, shape: { dim } } } } } as const;
}

/** A model that looks rows of the weight "table" up: `rows` [batch] of I64 to `found` [batch, width]. */
export function lookupGraph(height: number, width: number, dataType: DataType = DataType.FLOAT): Uint8Array {
  return formatGraph({
    inputs: [value("rows", ["batch"], DataType.INT64)],
    initializers: [emptyWeight("table", [height, width], dataType)],
    nodes: [{ opType: "Gather", input: ["table", "rows"], output: ["found"] }],
    outputs: [value("found", ["batch", width], dataType)],
  });
}
