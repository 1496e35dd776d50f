import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { bindExport } from "../../../coordinator/evaluate/exports/bind-export.js";
import { narrow } from "../../../shared/checkpoint/convert.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
} from "../../../shared/gen/onnx/onnx_pb.js";
import { checkWeights } from "../../../shared/onnx/check-weights.js";
import { randomValues, type TestTensors, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { DataType, formatGraph, value } from "../../support/onnx.js";
import { runGraph } from "../../support/run-graph.js";

type Initializer = MessageInitShape<typeof TensorProtoSchema>;

/** A weight as exporters write it, with its numbers. */
function weight(name: string, dims: readonly number[], values: ArrayLike<number>): Initializer {
  const rawData = narrow("F32", Float32Array.from(values));
  return { name, dims: dims.map(BigInt), dataType: DataType.FLOAT, rawData };
}

/** An export whose outputs are its weights, so that a run shows what was bound. */
function exportOf(initializers: readonly Initializer[]): Uint8Array {
  const names = initializers.map(({ name = "" }) => name);
  return formatGraph({
    inputs: [value("nothing", [])],
    initializers,
    nodes: names.map((name) => ({
      opType: "Sub",
      name: `/${name}`,
      input: [name, "nothing"],
      output: [`seen/${name}`],
    })),
    outputs: initializers.map(({ name = "", dims = [] }) => value(`seen/${name}`, dims.map(Number))),
  });
}

function transpose(values: Float32Array, height: number, width: number): Float32Array {
  return values.map((_, i) => values[(i % height) * width + Math.floor(i / height)] ?? Number.NaN);
}

/** Rows of `left`, each followed by that of `right`; both of `height` rows. */
function sideBySide(left: Float32Array, right: Float32Array, height: number): number[] {
  const [a, b] = [left.length / height, right.length / height];
  return Array.from({ length: height }, (_, row) => [
    ...left.subarray(row * a, (row + 1) * a),
    ...right.subarray(row * b, (row + 1) * b),
  ]).flat();
}

/** Binds an export to a base and runs it with another checkpoint: what its weights are then, by name. */
async function rebind(initializers: readonly Initializer[], base: TestTensors, other: TestTensors) {
  await using folder = await withTempDir();
  const path = join(folder.path, "model.onnx");
  await writeFile(path, exportOf(initializers));
  const checkpoint = await openCheckpoint(await writeCheckpoint(join(folder.path, "base"), base));
  const { model, weights, bindings, report } = await bindExport(path, checkpoint);
  const otherPath = await writeCheckpoint(join(folder.path, "other"), other);
  checkWeights(weights, await openCheckpoint(otherPath), bindings);
  const feeds = { nothing: { type: "F32", shape: [], values: [0] } } as const;
  const outputs = await runGraph(model, otherPath, feeds, bindings);
  const seen = Object.entries(outputs).map(([name, { values }]) => [name.replace("seen/", ""), [...values]]);
  return { seen: Object.fromEntries(seen) as Record<string, number[]>, bindings, report };
}

const [a, b] = [randomValues(1, 12), randomValues(2, 12)];
const [c, d] = [randomValues(3, 12), randomValues(4, 12)];
const f32 = (shape: readonly number[], values: ArrayLike<number>) => ({ dtype: "F32", shape, values }) as const;

test("a weight is found by its numbers, as they are or transposed, whatever it is called", async () => {
  const initializers = [weight("val_1", [3, 4], a), weight("onnx::MatMul_7", [4, 3], transpose(b, 3, 4))];
  const base = { first: f32([3, 4], a), second: f32([3, 4], b) };
  const { seen, bindings, report } = await rebind(initializers, base, {
    first: f32([3, 4], c),
    second: f32([3, 4], d),
  });
  expect(bindings).toEqual([
    { initializer: "val_1", tensor: "first", transposed: false },
    { initializer: "onnx::MatMul_7", tensor: "second", transposed: true },
  ]);
  expect(seen).toEqual({ val_1: [...c], "onnx::MatMul_7": [...transpose(d, 3, 4)] });
  expect(report).toEqual({ bound: 2, ties: [], kept: [], unused: [] });
});

test("a name alone is not believed: weights that were renamed are bound to what they equal", async () => {
  const initializers = [weight("first", [3, 4], b), weight("second", [3, 4], a)];
  const base = { first: f32([3, 4], a), second: f32([3, 4], b) };
  const { seen } = await rebind(initializers, base, { first: f32([3, 4], c), second: f32([3, 4], d) });
  expect(seen).toEqual({ first: [...d], second: [...c] });
});

test.each(["F16", "BF16"] as const)(
  "an export in FLOAT is bound to a %s base that it was widened from",
  async (dtype) => {
    const eighths = Float32Array.from({ length: 12 }, (_, i) => i / 8);
    const base = { table: { dtype, shape: [3, 4], values: eighths } };
    const other = { table: { dtype, shape: [3, 4], values: eighths.map((x) => -x) } };
    const { seen } = await rebind([weight("val_1", [4, 3], transpose(eighths, 3, 4))], base, other);
    expect(seen["val_1"]).toEqual([...transpose(other.table.values, 3, 4)]);
  },
);

test("tensors that were packed along columns, transposed, are bound as pieces, and so are their biases", async () => {
  const initializers = [
    weight("qkv", [4, 6], sideBySide(transpose(a, 3, 4), transpose(b, 3, 4), 4)),
    weight("qkv_bias", [7], [...a.subarray(0, 3), ...b.subarray(0, 4)]),
  ];
  const sizes = (x: Float32Array, y: Float32Array): TestTensors => ({
    "key.bias": f32([4], y.subarray(0, 4)),
    "key.weight": f32([3, 4], y),
    "query.bias": f32([3], x.subarray(0, 3)),
    "query.weight": f32([3, 4], x),
  });
  const { seen, report } = await rebind(initializers, sizes(a, b), sizes(c, d));
  expect(seen["qkv"]).toEqual(sideBySide(transpose(c, 3, 4), transpose(d, 3, 4), 4));
  expect(seen["qkv_bias"]).toEqual([...c.subarray(0, 3), ...d.subarray(0, 4)]);
  expect(report).toMatchObject({ bound: 2, ties: [], unused: [] });
});

test("tensors that were packed along rows are bound as pieces", async () => {
  const initializers = [weight("both", [6, 4], [...a, ...b])];
  const base = { one: f32([3, 4], a), two: f32([3, 4], b) };
  const { seen } = await rebind(initializers, base, { one: f32([3, 4], c), two: f32([3, 4], d) });
  expect(seen["both"]).toEqual([...c, ...d]);
});

test("pieces that equal each other follow the order of the weights they belong to", async () => {
  const zeros = new Float32Array(3);
  const initializers = [weight("bias", [6], new Float32Array(6)), weight("qkv", [6, 4], [...a, ...b])];
  const sizes = (x: Float32Array, y: Float32Array, query: Float32Array, key: Float32Array): TestTensors => ({
    "key.bias": f32([3], key),
    "key.weight": f32([3, 4], y),
    "query.bias": f32([3], query),
    "query.weight": f32([3, 4], x),
  });
  const other = sizes(c, d, c.subarray(0, 3), d.subarray(0, 3));
  const { seen, report } = await rebind(initializers, sizes(a, b, zeros, zeros), other);
  expect(seen["bias"]).toEqual([...c.subarray(0, 3), ...d.subarray(0, 3)]);
  expect(report.ties).toEqual([
    { initializer: "bias", taken: "query.bias + key.bias", equal: ["key.bias", "query.bias"] },
  ]);
});

test("among equal tensors the one of the same name is taken, then the nearest name, and guesses are reported", async () => {
  const zeros = new Float32Array(12);
  const base: TestTensors = { "layer.0.bias": f32([12], zeros), "layer.1.bias": f32([12], zeros) };
  const other: TestTensors = { "layer.0.bias": f32([12], c), "layer.1.bias": f32([12], d) };
  const named = await rebind(
    [weight("model.layer.1.bias", [12], zeros), weight("layer.0.bias", [12], zeros)],
    base,
    other,
  );
  expect(named.seen).toEqual({ "layer.0.bias": [...c], "model.layer.1.bias": [...d] });
  expect(named.report.ties).toEqual([]);
  const guessed = await rebind([weight("layer/1/fold", [12], zeros), weight("layer.0.bias", [12], zeros)], base, other);
  expect(guessed.seen["layer/1/fold"]).toEqual([...d]);
  const one = await rebind([weight("fold", [12], zeros)], base, other);
  expect(one.report.ties).toEqual([{ initializer: "fold", taken: "layer.0.bias", equal: ["layer.1.bias"] }]);
});

test("constants that are in no tensor stay as they are, and so do single numbers that happen to equal one", async () => {
  const initializers = [
    weight("table", [3, 4], a),
    weight("frequencies", [1, 3], [1, 0.1, 0.01]),
    weight("epsilon", [1], [0.5]),
    weight("halves", [2], [0.5, 0.5]),
  ];
  const base = { table: f32([3, 4], a), scale: f32([1], [0.5]) };
  const { seen, report } = await rebind(initializers, base, { table: f32([3, 4], c), scale: f32([1], [7]) });
  expect(seen["epsilon"]).toEqual([0.5]);
  expect(seen["halves"]).toEqual([0.5, 0.5]);
  expect(seen["frequencies"]).toEqual([...Float32Array.of(1, 0.1, 0.01)]);
  expect(report).toMatchObject({ kept: [{ shape: [1, 3] }, { name: "halves", shape: [2] }], unused: ["scale"] });
});

test("a weight in a Constant node is found too", async () => {
  await using folder = await withTempDir();
  const t = create(TensorProtoSchema, weight("", [3, 4], a));
  const graph = formatGraph({
    inputs: [value("nothing", [])],
    initializers: [],
    nodes: [
      { opType: "Constant", output: ["val_1"], attribute: [{ name: "value", type: AttributeType.TENSOR, t }] },
      { opType: "Sub", input: ["val_1", "nothing"], output: ["seen"] },
    ],
    outputs: [value("seen", [3, 4])],
  });
  const path = join(folder.path, "model.onnx");
  await writeFile(path, graph);
  const base = await writeCheckpoint(join(folder.path, "base"), { table: f32([3, 4], a) });
  const bound = await bindExport(path, await openCheckpoint(base));
  const other = await writeCheckpoint(join(folder.path, "other"), { table: f32([3, 4], c) });
  const feeds = { nothing: { type: "F32", shape: [], values: [0] } } as const;
  expect((await runGraph(bound.model, other, feeds, bound.bindings))["seen"]?.values).toEqual(c);
});

test("weights and constants may be in a file beside the export", async () => {
  await using folder = await withTempDir();
  const numbers = Float32Array.of(...a, 5, 6);
  await writeFile(join(folder.path, "model.onnx.data"), new Uint8Array(numbers.buffer));
  const outside = (name: string, dims: readonly number[], offset: number, length: number): Initializer => ({
    name,
    dims: dims.map(BigInt),
    dataType: DataType.FLOAT,
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries({ location: "model.onnx.data", offset, length }).map(([key, x]) => ({
      key,
      value: String(x),
    })),
  });
  const path = join(folder.path, "model.onnx");
  await writeFile(path, exportOf([outside("val_1", [3, 4], 0, 48), outside("own", [2], 48, 8)]));
  const base = await writeCheckpoint(join(folder.path, "base"), { table: f32([3, 4], a) });
  const bound = await bindExport(path, await openCheckpoint(base));
  const other = await writeCheckpoint(join(folder.path, "other"), { table: f32([3, 4], c) });
  const feeds = { nothing: { type: "F32", shape: [], values: [0] } } as const;
  const seen = await runGraph(bound.model, other, feeds, bound.bindings);
  expect(seen["seen/val_1"]?.values).toEqual(c);
  expect(seen["seen/own"]?.values).toEqual(Float32Array.of(5, 6));
  expect(bound.description).toEqual({
    inputs: [{ name: "nothing", type: "FLOAT", shape: [] }],
    outputs: [
      { name: "seen/val_1", type: "FLOAT", shape: [3, 4] },
      { name: "seen/own", type: "FLOAT", shape: [2] },
    ],
  });
});
