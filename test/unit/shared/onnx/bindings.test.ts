import { mkdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { type ModelProto, ModelProtoSchema } from "../../../../shared/gen/onnx/onnx_pb.js";
import { bindWeights, type WeightBinding } from "../../../../shared/onnx/bind-weights.js";
import { checkWeights } from "../../../../shared/onnx/check-weights.js";
import {
  randomTensor,
  readTensor,
  type TestTensors,
  withTempDir,
  writeCheckpoint,
} from "../../../support/checkpoints.js";
import { DataType, emptyWeight, formatGraph, lookupGraph, value } from "../../../support/onnx.js";
import { runGraph } from "../../../support/run-graph.js";

/** A model whose output `seen` is the weight "weight", which has numbers of its own: all 9. */
function ownWeightGraph(shape: readonly [number, number]): Uint8Array {
  const [height, width] = shape;
  const floatData = Array<number>(height * width).fill(9);
  return formatGraph({
    inputs: [value("nothing", [])],
    initializers: [{ name: "weight", dims: shape.map(BigInt), dataType: DataType.FLOAT, floatData }],
    nodes: [{ opType: "Add", input: ["weight", "nothing"], output: ["seen"] }],
    outputs: [value("seen", shape)],
  });
}

const nothing = { nothing: { type: "F32", shape: [], values: [0] } } as const;

function modelOf(bytes: Uint8Array): ModelProto {
  return fromBinary(ModelProtoSchema, bytes);
}

/** The transpose of a matrix of [height, width]. */
function transpose(values: Float32Array, height: number, width: number): Float32Array {
  return values.map((_, i) => values[(i % height) * width + Math.floor(i / height)] ?? Number.NaN);
}

test.each(["F32", "BF16", "F16"] as const)(
  "a binding replaces a weight's own numbers by a %s tensor",
  async (dtype) => {
    await using folder = await withTempDir();
    const path = await writeCheckpoint(join(folder.path, "model"), { other: randomTensor(1, [3, 2], dtype) });
    const expected = readTensor(await openCheckpoint(path), "other");
    const as = { initializer: "weight", tensor: "other", transposed: false };
    expect((await runGraph(ownWeightGraph([3, 2]), path, nothing, [as]))["seen"]?.values).toEqual(expected);
    const turned = { ...as, transposed: true };
    const { seen } = await runGraph(ownWeightGraph([2, 3]), path, nothing, [turned]);
    expect(seen?.values).toEqual(transpose(expected, 3, 2));
  },
);

test("bindings of one weight are its pieces, in order", async () => {
  await using folder = await withTempDir();
  const path = await writeCheckpoint(join(folder.path, "model"), {
    query: randomTensor(1, [2, 3]),
    key: randomTensor(2, [3, 2], "BF16"),
    value: randomTensor(3, [1, 3], "F16"),
  });
  const checkpoint = await openCheckpoint(path);
  const [query, key, last] = ["query", "key", "value"].map((name) => readTensor(checkpoint, name));
  const bindings = ["query", "key", "value"].map((tensor) => {
    return { initializer: "weight", tensor, transposed: tensor === "key", axis: 0 };
  });
  const { seen } = await runGraph(ownWeightGraph([5, 3]), path, nothing, bindings);
  expect([...(seen?.values ?? [])]).toEqual([
    ...(query ?? []),
    ...transpose(key ?? new Float32Array(), 3, 2),
    ...(last ?? []),
  ]);
});

test.each<{ readonly what: string; readonly binding: Partial<WeightBinding>; readonly problem: string }>([
  { what: "no such tensor", binding: { tensor: "tabel" }, problem: 'has no tensor "tabel", did you mean "table"' },
  { what: "no such weight", binding: { initializer: "wait" }, problem: '"wait": the graph has no such weight' },
  { what: "transposed shape", binding: { transposed: true }, problem: "wants shape [3, 2], the checkpoint has [2, 3]" },
  {
    what: "transposed vector",
    binding: { tensor: "bias", transposed: true },
    problem: 'the transpose of "bias", which has 1 dimensions',
  },
])("bindWeights() complains of a binding: $what", async ({ binding, problem }) => {
  await using folder = await withTempDir();
  const path = await writeCheckpoint(folder.path, { table: randomTensor(1, [3, 2]), bias: randomTensor(2, [2]) });
  const checkpoint = await openCheckpoint(path);
  const whole = { initializer: "weight", tensor: "table", transposed: false, ...binding };
  expect(() => bindWeights(ownWeightGraph([3, 2]), checkpoint, [whole])).toThrow(problem);
});

test("a 16-bit table that rows are looked up in is not cast whole", async () => {
  await using folder = await withTempDir();
  const path = await writeCheckpoint(join(folder.path, "model"), { table: randomTensor(1, [3, 2], "BF16") });
  const checkpoint = await openCheckpoint(path);
  const { model } = bindWeights(lookupGraph(3, 2), checkpoint);
  expect(modelOf(model).graph?.node.map(({ opType, input }) => [opType, input[0]])).toEqual([
    ["Gather", "table/stored"],
    ["Cast", "found/stored"],
  ]);
  const { found } = await runGraph(lookupGraph(3, 2), path, { rows: { type: "I64", shape: [2], values: [2, 0] } });
  const all = readTensor(checkpoint, "table");
  expect(found?.values).toEqual(Float32Array.of(...all.subarray(4, 6), ...all.subarray(0, 2)));
});

test("a 16-bit table that something else reads too is cast once for both", async () => {
  await using folder = await withTempDir();
  const graph = formatGraph({
    inputs: [value("rows", ["batch"], DataType.INT64)],
    initializers: [emptyWeight("table", [3, 2])],
    nodes: [
      { opType: "Gather", input: ["table", "rows"], output: ["found"] },
      { opType: "ReduceSum", input: ["table"], output: ["sum"] },
    ],
    outputs: [value("found", ["batch", 2]), value("sum", [1, 1])],
  });
  const path = await writeCheckpoint(folder.path, { table: randomTensor(1, [3, 2], "BF16") });
  const { model } = bindWeights(graph, await openCheckpoint(path));
  expect(modelOf(model).graph?.node.map(({ opType }) => opType)).toEqual(["Cast", "Gather", "ReduceSum"]);
});

test("bindWeights() does not round: a FLOAT16 graph with an F32 checkpoint", async () => {
  await using folder = await withTempDir();
  const checkpoint = await openCheckpoint(await writeCheckpoint(folder.path, { table: randomTensor(1, [3, 2]) }));
  expect(() => bindWeights(lookupGraph(3, 2, DataType.FLOAT16), checkpoint)).toThrow(
    '"table": the graph wants FLOAT16, the checkpoint has F32, which would be rounded: export the graph in FLOAT',
  );
});

test("bindWeights() says which opset reads what an old graph cannot", async () => {
  await using folder = await withTempDir();
  const checkpoint = await openCheckpoint(
    await writeCheckpoint(folder.path, { table: randomTensor(1, [3, 2], "F8_E4M3") }),
  );
  expect(() => bindWeights(lookupGraph(3, 2), checkpoint)).toThrow(
    '"table": to read F8_E4M3 a graph must be of opset 19 or newer, and this one is of 17',
  );
});

const hubTensors: TestTensors = { table: randomTensor(5, [3, 2]) };
const lookup = { rows: { type: "I64", shape: [1], values: [1] } } as const;

test("the weights of a snapshot in the Hub's cache are read through its links", async () => {
  await using folder = await withTempDir();
  const model = join(folder.path, "models--org--name");
  await mkdir(join(model, "blobs"), { recursive: true });
  const snapshot = await writeCheckpoint(join(model, "snapshots", "abc"), hubTensors);
  await rename(join(snapshot, "model.safetensors"), join(model, "blobs", "1234"));
  await symlink(join("..", "..", "blobs", "1234"), join(snapshot, "model.safetensors"));
  const checkpoint = await openCheckpoint(snapshot);
  const { found } = await runGraph(lookupGraph(3, 2), snapshot, lookup);
  expect(found?.values).toEqual(readTensor(checkpoint, "table").subarray(2, 4));
});

test("the weights of a checkpoint whose links lead elsewhere are read from the nearest folder that has them all", async () => {
  await using folder = await withTempDir();
  const store = await writeCheckpoint(join(folder.path, "store", "deep"), hubTensors);
  await mkdir(join(folder.path, "model"));
  await symlink(join(store, "model.safetensors"), join(folder.path, "model", "model.safetensors"));
  const checkpoint = await openCheckpoint(join(folder.path, "model"), { allowedRoots: [store] });
  const { model, folder: root } = bindWeights(lookupGraph(3, 2), checkpoint);
  expect(checkpoint.root.endsWith("/model")).toBe(true);
  expect(join(root, "model")).toBe(checkpoint.root);
  const [{ externalData = [] } = {}] = modelOf(model).graph?.initializer ?? [];
  expect(externalData.find(({ key }) => key === "location")?.value).toBe("store/deep/model.safetensors");
});

test("checkWeights() complains as bindWeights() does, before anything is made", async () => {
  await using folder = await withTempDir();
  const path = await writeCheckpoint(join(folder.path, "model"), {
    "bert.dense.weight": randomTensor(1, [2, 3], "BF16"),
    "embeddings.weight": randomTensor(1, [4, 3]),
    ids: { dtype: "I64", shape: [2], bytes: new Uint8Array(16) },
  });
  const checkpoint = await openCheckpoint(path);
  checkWeights([{ name: "bert.dense.weight", shape: [2, 3] }], checkpoint);
  const wanted = [
    { name: "dense.weight", shape: [2, 3] },
    { name: "embedings.weight", shape: [4, 3] },
    { name: "embeddings.weight", shape: [5, 3] },
    { name: "ids", shape: [2] },
  ];
  expect(() => checkWeights(wanted, checkpoint)).toThrow(
    [
      "to the graph, 4 of 4 weights do not fit:",
      '  "dense.weight": the checkpoint has no tensor of this name, did you mean "bert.dense.weight"',
      '  "embedings.weight": the checkpoint has no tensor of this name, did you mean "embeddings.weight"',
      '  "embeddings.weight": the graph wants shape [5, 3], the checkpoint has [4, 3]',
      '  "ids": the graph wants FLOAT, the checkpoint has I64, which is not converted',
    ].join("\n"),
  );
});
