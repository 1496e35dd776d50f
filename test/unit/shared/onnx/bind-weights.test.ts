import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { type GraphProto, ModelProtoSchema, type TensorProto } from "../../../../shared/gen/onnx/onnx_pb.js";
import { bindWeights } from "../../../../shared/onnx/bind-weights.js";
import { randomTensor, type TestTensors, withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";
import { DataType, emptyWeight, formatGraph, lookupGraph, value } from "../../../support/onnx.js";
import { repositoryPath } from "../../../support/repository.js";

async function bindTo(graph: Uint8Array, tensors: TestTensors, shards = 1): Promise<GraphProto> {
  await using folder = await withTempDir();
  const checkpoint = await openCheckpoint(await writeCheckpoint(join(folder.path, "model"), tensors, { shards }));
  const bound = bindWeights(graph, checkpoint);
  expect(bound.folder).toBe(checkpoint.root);
  const model = fromBinary(ModelProtoSchema, bound.model);
  if (model.graph === undefined) throw new Error("The bound model has no graph");
  return model.graph;
}

function externalData(tensor: TensorProto | undefined): Record<string, string> {
  return Object.fromEntries((tensor?.externalData ?? []).map(({ key, value }) => [key, value]));
}

function failure(act: () => unknown): AmalgamError {
  try {
    act();
  } catch (error) {
    if (error instanceof AmalgamError) return error;
  }
  throw new Error("It did not fail");
}

test("bindWeights() points an empty initializer at its tensor's bytes in the right shard", async () => {
  const graph = await bindTo(
    lookupGraph(3, 2),
    { first: randomTensor(1, [5]), table: randomTensor(2, [3, 2]), last: randomTensor(3, [4]) },
    3,
  );
  const [table] = graph.initializer;
  expect(table?.name).toBe("table");
  expect(externalData(table)).toMatchObject({ location: "model-00002-of-00003.safetensors", length: "24" });
  expect(graph.node.map(({ opType }) => opType)).toEqual(["Gather"]);
});

/** `states` [batch, height] times the weight "matrix" [height, width]. */
function productGraph(height: number, width: number): Uint8Array {
  return formatGraph({
    inputs: [value("states", ["batch", height])],
    initializers: [emptyWeight("matrix", [height, width])],
    nodes: [{ opType: "MatMul", input: ["states", "matrix"], output: ["product"] }],
    outputs: [value("product", ["batch", width])],
  });
}

test.each(["BF16", "F16"] as const)(
  "bindWeights() puts a Cast between a %s tensor and a FLOAT weight",
  async (dtype) => {
    const graph = await bindTo(productGraph(3, 2), { matrix: randomTensor(1, [3, 2], dtype) });
    const [stored] = graph.initializer;
    expect(stored?.dataType).toBe(dtype === "BF16" ? DataType.BFLOAT16 : DataType.FLOAT16);
    expect(externalData(stored)["length"]).toBe("12");
    const [cast, product] = graph.node;
    expect(cast).toMatchObject({ opType: "Cast", input: [stored?.name], output: ["matrix"] });
    expect(cast?.attribute).toMatchObject([{ name: "to", i: BigInt(DataType.FLOAT) }]);
    expect(product?.input).toEqual(["states", "matrix"]);
  },
);

test("bindWeights() takes a cast weight off the inputs, where old exports list weights too", async () => {
  const parts = {
    inputs: [value("rows", ["batch"], DataType.INT64), value("table", [3, 2])],
    initializers: [emptyWeight("table", [3, 2])],
    nodes: [{ opType: "Gather", input: ["table", "rows"], output: ["found"] }],
    outputs: [value("found", ["batch", 2])],
  };
  const graph = await bindTo(formatGraph(parts), { table: randomTensor(1, [3, 2], "BF16") });
  expect(graph.input.map(({ name }) => name)).toEqual(["rows"]);
});

test("bindWeights() leaves an initializer with data of its own alone", async () => {
  const own = { name: "own", dims: [2n], dataType: DataType.FLOAT, floatData: [1, 2] };
  const parts = { inputs: [], nodes: [], outputs: [value("own", [2])] };
  const graph = await bindTo(formatGraph({ ...parts, initializers: [own] }), { other: randomTensor(1, [2]) });
  expect(graph.initializer).toMatchObject([own]);
});

test("bindWeights() binds an initializer that simply has no data", async () => {
  const bare = { name: "bare", dims: [2n], dataType: DataType.FLOAT };
  const parts = { inputs: [], nodes: [], outputs: [value("bare", [2])] };
  const graph = await bindTo(formatGraph({ ...parts, initializers: [bare] }), { bare: randomTensor(1, [2]) });
  expect(externalData(graph.initializer[0])).toMatchObject({ location: "model.safetensors", length: "8" });
});

test("bindWeights() names every weight that is missing or does not fit, at once", async () => {
  await using folder = await withTempDir();
  const path = await writeCheckpoint(join(folder.path, "model"), {
    fits: randomTensor(1, [2]),
    turned: randomTensor(1, [3, 2]),
    packed: { dtype: "I8", shape: [2], bytes: new Uint8Array(2) },
  });
  const checkpoint = await openCheckpoint(path);
  const graph = formatGraph({
    inputs: [],
    nodes: [],
    outputs: [value("fits", [2])],
    initializers: [
      emptyWeight("fits", [2]),
      emptyWeight("gone", [2]),
      emptyWeight("turned", [2, 3]),
      emptyWeight("packed", [2]),
    ],
  });
  const error = failure(() => bindWeights(graph, checkpoint));
  expect(error.code).toBe("checkpoint_mismatch");
  expect(error.message.replace(path, "model").split("\n")).toEqual([
    'Cannot bind checkpoint "model" to the graph, 3 of 4 weights do not fit:',
    '  "gone": the checkpoint has no tensor of this name',
    '  "turned": the graph wants shape [2, 3], the checkpoint has [3, 2]',
    '  "packed": the graph wants FLOAT, the checkpoint has I8, which is not converted',
  ]);
});

test("bindWeights() names the first of many weights that do not fit, and counts the rest", async () => {
  await using folder = await withTempDir();
  const checkpoint = await openCheckpoint(await writeCheckpoint(folder.path, { other: randomTensor(1, [2]) }));
  const initializers = Array.from({ length: 500 }, (_, i) => emptyWeight(`weight.${i}`, [2]));
  const graph = formatGraph({ inputs: [], nodes: [], outputs: [value("weight.0", [2])], initializers });
  const lines = failure(() => bindWeights(graph, checkpoint)).message.split("\n");
  expect(lines).toHaveLength(22);
  expect(lines.at(-1)).toBe("  and 480 more");
});

test("bindWeights() refuses bytes that are no ONNX model", async () => {
  await using folder = await withTempDir();
  const checkpoint = await openCheckpoint(await writeCheckpoint(folder.path, { other: randomTensor(1, [2]) }));
  expect(failure(() => bindWeights(new Uint8Array([255, 255]), checkpoint)).code).toBe("checkpoint_malformed");
  expect(failure(() => bindWeights(new Uint8Array(), checkpoint)).message).toContain("no graph");
});

test("the ONNX schema passes on the fields that it does not know", async () => {
  const bytes = await readFile(repositoryPath("examples", "digits", "model.onnx"));
  const again = toBinary(ModelProtoSchema, fromBinary(ModelProtoSchema, bytes));
  // The same fields, in another order.
  expect(again.toSorted()).toEqual(new Uint8Array(bytes).toSorted());
});
