import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  ModelProtoSchema,
} from "../../../../shared/gen/onnx/onnx_pb.js";
import { bindWeights } from "../../../../shared/onnx/bind-weights.js";
import { randomTensor, withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";
import { DataType } from "../../../support/onnx.js";

// ONNX Runtime reads external data wherever a tensor may stand in a model, from any file below the folder that it is told:
// on an agent that is the nearest one that holds all files of a checkpoint, links followed, and may be "/".

const stray = {
  name: "stray",
  dims: [4n],
  dataType: DataType.UINT8,
  dataLocation: DataLocation.EXTERNAL,
  externalData: [{ key: "location", value: "etc/passwd" }],
};
const sparse = { values: stray, indices: { name: "at", dims: [0n], dataType: DataType.INT64 } };
const branch = { node: [{ opType: "Identity", input: ["stray"], output: ["out"] }], initializer: [stray] };
const constant = { opType: "Constant", attribute: [{ type: AttributeType.TENSOR, t: stray }] };

const places: readonly [string, MessageInitShape<typeof ModelProtoSchema>][] = [
  ["a constant", { graph: { node: [constant] } }],
  ["a list of tensors", { graph: { node: [{ attribute: [{ tensors: [stray] }] }] } }],
  ["a sparse initializer", { graph: { sparseInitializer: [sparse] } }],
  ["a sparse constant", { graph: { node: [{ attribute: [{ sparseTensor: sparse }] }] } }],
  ["a list of sparse constants", { graph: { node: [{ attribute: [{ sparseTensors: [sparse] }] }] } }],
  ["a branch", { graph: { node: [{ opType: "If", attribute: [{ g: branch }] }] } }],
  ["one of several graphs of a node", { graph: { node: [{ attribute: [{ graphs: [branch] }] }] } }],
  ["a branch of a branch", { graph: { node: [{ attribute: [{ g: { node: [{ attribute: [{ g: branch }] }] } }] }] } }],
  ["a function", { graph: {}, functions: [{ name: "f", node: [constant] }] }],
  ["a function's defaults", { graph: {}, functions: [{ name: "f", attributeProto: [{ t: stray }] }] }],
];

test.each(places)("bindWeights() refuses a graph that reads a file from %s", async (_, model) => {
  await using folder = await withTempDir();
  const checkpoint = await openCheckpoint(await writeCheckpoint(folder.path, { other: randomTensor(1, [2]) }));
  const bytes = toBinary(ModelProtoSchema, create(ModelProtoSchema, model));
  expect(() => bindWeights(bytes, checkpoint)).toThrow(
    expect.objectContaining({
      code: "path_refused",
      message: expect.stringContaining('its tensor "stray" would be read from "etc/passwd"'),
    }),
  );
});
