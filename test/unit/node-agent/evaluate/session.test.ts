import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Batch, sliceBatch } from "../../../../node-agent/evaluate/batch.js";
import { readEvalSet } from "../../../../node-agent/evaluate/eval-set.js";
import { openSession } from "../../../../node-agent/evaluate/session.js";
import { widen } from "../../../../shared/checkpoint/convert.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { randomTensor, readTensor, withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";
import { DataType, formatGraph, lookupGraph, value } from "../../../support/onnx.js";
import { repositoryPath } from "../../../support/repository.js";

function rows(...numbers: readonly number[]): ReadonlyMap<string, Batch> {
  return new Map([["rows", { values: BigInt64Array.from(numbers, BigInt), shape: [numbers.length] }]]);
}

/** The bits of 32-bit floats, every NaN the same. */
function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.map((number) => (Number.isNaN(number) ? Number.NaN : number)).buffer);
}

test("openSession() reads weights out of a shard by their name", async () => {
  await using folder = await withTempDir();
  const tensors = { first: randomTensor(1, [7]), table: randomTensor(2, [4, 3]), last: randomTensor(3, [5]) };
  const checkpoint = await openCheckpoint(await writeCheckpoint(join(folder.path, "model"), tensors, { shards: 3 }));
  await using session = await openSession(lookupGraph(4, 3), checkpoint);
  expect(session.inputs).toEqual(["rows"]);
  const found = await session.run(rows(3, 0));
  const table = readTensor(checkpoint, "table");
  expect(found).toEqual({ values: Float32Array.of(...table.subarray(9, 12), ...table.subarray(0, 3)), shape: [2, 3] });
});

test("openSession() follows the links of a Hugging Face cache", async () => {
  await using folder = await withTempDir();
  const cache = join(folder.path, "models--org--name");
  const snapshot = join(cache, "snapshots", "main");
  const blobs = await writeCheckpoint(join(cache, "blobs"), { table: randomTensor(1, [1, 2]) });
  await mkdir(snapshot, { recursive: true });
  await symlink("../../blobs/model.safetensors", join(snapshot, "model.safetensors"));
  await using session = await openSession(lookupGraph(1, 2), await openCheckpoint(snapshot));
  const { values } = await session.run(rows(0));
  expect(values).toEqual(readTensor(await openCheckpoint(blobs), "table"));
});

test.each(["BF16", "F16"] as const)("openSession() widens every %s pattern as widen() does", async (dtype) => {
  await using folder = await withTempDir();
  const bytes = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, pattern) => pattern).buffer);
  const path = await writeCheckpoint(folder.path, { table: { dtype, shape: [256, 256], bytes } });
  await using session = await openSession(lookupGraph(256, 256), await openCheckpoint(path));
  const found = await session.run(rows(...Array(256).keys()));
  expect(bitsOf(found.values)).toEqual(bitsOf(widen(dtype, bytes)));
});

test("openSession() gives the reason when ONNX Runtime refuses the graph", async () => {
  await using folder = await withTempDir();
  const checkpoint = await openCheckpoint(await writeCheckpoint(folder.path, { table: randomTensor(1, [2]) }));
  const graph = formatGraph({
    inputs: [value("x", ["n"])],
    initializers: [],
    nodes: [{ opType: "Nonesuch", input: ["x"], output: ["y"] }],
    outputs: [value("y", ["n"])],
  });
  await expect(openSession(graph, checkpoint)).rejects.toMatchObject({
    code: "checkpoint_mismatch",
    message: expect.stringContaining("Nonesuch"),
  });
});

test("run() refuses an output that is not of FLOAT", async () => {
  await using folder = await withTempDir();
  const path = await writeCheckpoint(folder.path, { table: { dtype: "F64", shape: [1, 1], values: [1] } });
  await using session = await openSession(lookupGraph(1, 1, DataType.DOUBLE), await openCheckpoint(path));
  await expect(session.run(rows(0))).rejects.toMatchObject({ code: "checkpoint_mismatch" });
});

test("run() answers the same for an image alone and among all", async () => {
  const example = (...parts: readonly string[]): string => repositoryPath("examples", "digits", ...parts);
  const checkpoint = await openCheckpoint(example("base"));
  await using session = await openSession(await readFile(example("model.onnx")), checkpoint);
  const { count, inputs } = await readEvalSet(example("eval", "rotated.safetensors"), session.inputs);
  const pick = (from: number, to: number) =>
    new Map([...inputs].map(([name, all]) => [name, sliceBatch(all, from, to)]));
  const together = await session.run(inputs);
  expect(together.shape).toEqual([count, 10]);
  for (const image of [0, 1, count - 1]) {
    const alone = await session.run(pick(image, image + 1));
    const differences = alone.values.map((logit, i) =>
      Math.abs(logit - (together.values[image * 10 + i] ?? Number.NaN)),
    );
    expect(Math.max(...differences)).toBeLessThan(1e-5);
  }
});
