import { create } from "@bufbuild/protobuf";
import { Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { type LoadedGraph, SessionStore } from "../../../../../node-agent/evaluate/process/session-store.js";
import { type Checkpoint, openCheckpoint } from "../../../../../shared/checkpoint/open.js";
import { EvaluationGraphSchema } from "../../../../../shared/gen/amalgam/v1/agent_pb.js";
import { GraphBuilder, type Value } from "../../../../../shared/onnx/graph-builder.js";
import { randomTensor, randomValues, withTempDir, writeCheckpoint } from "../../../../support/checkpoints.js";

const [depth, size] = [8, 32];
/** Of one layer in BF16. */
const layerBytes = size * size * 2;

function graph(name = "layers"): Uint8Array {
  const g = new GraphBuilder(name);
  let x: Value = g.input("x", "FLOAT", ["batch", size]);
  for (let i = 0; i < depth; i++)
    x = g.op("Tanh", [g.op("Gemm", [x, g.weight(`layer.${i}`, [size, size])], { transB: 1 })]);
  g.output("y", x, "FLOAT", ["batch", size]);
  return g.build().model;
}

async function writeLayers(path: string, seed: number): Promise<Checkpoint> {
  const tensors = Array.from({ length: depth }, (_, i) => {
    return [`layer.${i}`, randomTensor(seed + i, [size, size], "BF16")] as const;
  });
  return openCheckpoint(await writeCheckpoint(path, Object.fromEntries(tensors)));
}

function store(memoryBytes: number): SessionStore {
  return new SessionStore({ roots: [], providers: ["cpu"], threads: 1, memoryBytes });
}

function wanted(checkpoint: Checkpoint, widens = true) {
  const graphs = [create(EvaluationGraphSchema, { role: "body", model: graph() })];
  return {
    checkpoint,
    identity: checkpoint.directory,
    graphs,
    threads: 0,
    widensOnce: () => widens,
    batchBytes: () => 0,
  };
}

async function outputOf(loaded: LoadedGraph | undefined): Promise<unknown> {
  const x = new Tensor("float32", randomValues(3, size), [1, size]);
  return (await loaded?.session.run({ x }))?.["y"]?.data;
}

test("weights widened once and at every run give the same bits", async () => {
  await using folder = await withTempDir();
  const model = wanted(await writeLayers(folder.path, 1));
  // Widened, all of them take twice as much again; one after the other, the two largest do.
  const [once, anew] = [store(3 * depth * layerBytes), store((depth + 4) * layerBytes)];
  const outputs = [];
  for (const each of [once, anew]) outputs.push(await outputOf((await each.load(model)).graphs.get("body")));
  expect(outputs[0]).toBeInstanceOf(Float32Array);
  expect(outputs[0]).toEqual(outputs[1]);
});

test("weights are widened once of the roles that are run often, and stay so for a slice that runs them once", async () => {
  await using folder = await withTempDir();
  const checkpoint = await writeLayers(folder.path, 1);
  const model = graph();
  const graphs = [
    create(EvaluationGraphSchema, { role: "body", model: graph("others") }),
    create(EvaluationGraphSchema, { role: "head", model }),
  ];
  const often = (role: string): boolean => role === "head";
  const load = async (sessions: SessionStore, widensOnce: (role: string) => boolean) =>
    (await sessions.load({ ...wanted(checkpoint), graphs, widensOnce })).loadedBytes;
  const roomy = store(20 * depth * layerBytes);
  const whole = depth * layerBytes;
  expect(await load(roomy, () => false)).toBe(2 * whole);
  expect(await load(roomy, often)).toBe(whole);
  expect(await load(roomy, () => false)).toBe(0);
  // There is room for neither widened.
  const tight = store((2 * depth + 8) * layerBytes);
  expect(await load(tight, often)).toBe(2 * whole);
  expect(await load(tight, () => false)).toBe(0);
});

test("a model that cannot fit is refused with the numbers", async () => {
  await using folder = await withTempDir();
  const model = wanted(await writeLayers(folder.path, 1));
  await expect(store((depth + 4) * layerBytes - 1).load(model)).rejects.toMatchObject({
    code: "out_of_memory",
    message: expect.stringMatching(/needs 24\.6 KB for its weights .* may use 24\.6 KB.*--eval-memory/),
    details: { needed: String((depth + 4) * layerBytes), allowed: String((depth + 4) * layerBytes - 1) },
  });
});

test.each([
  ["keeps a model for the next slice while others fit", 2, 0],
  ["lets the least recently used model go when another needs its memory", 1, depth * layerBytes],
])("the store %s", async (_, models, loadedAgain) => {
  await using folder = await withTempDir();
  const [first, second] = await Promise.all([1, 2].map((i) => writeLayers(`${folder.path}/${i}`, i)));
  if (first === undefined || second === undefined) throw new Error("There are two models");
  const sessions = store(models * (depth + 4) * layerBytes);
  const load = async (checkpoint: Checkpoint) => sessions.load(wanted(checkpoint, false));
  expect((await load(first)).loadedBytes).toBe(depth * layerBytes);
  expect((await load(first)).loadedBytes).toBe(0);
  expect((await load(second)).loadedBytes).toBe(depth * layerBytes);
  const again = await load(first);
  expect(again.loadedBytes).toBe(loadedAgain);
  expect(await outputOf(again.graphs.get("body"))).toBeInstanceOf(Float32Array);
});

test("what a model may take is what is free at the time, and what the store holds itself", async () => {
  await using folder = await withTempDir();
  const model = wanted(await writeLayers(folder.path, 1));
  let free = 0;
  const settings = { roots: [], providers: ["cpu" as const], threads: 1, memoryBytes: undefined };
  const sessions = new SessionStore(settings, () => free);
  await expect(sessions.load(model)).rejects.toMatchObject({ code: "out_of_memory", details: { allowed: "0" } });
  // Widened, all weights take twice as much again; four fifths of what is free are used.
  free = (3 * depth * layerBytes * 5) / 4;
  expect((await sessions.load(model)).loadedBytes).toBe(depth * layerBytes);
  free -= 2 * depth * layerBytes;
  expect((await sessions.load(model)).loadedBytes).toBe(0);
});
