import { stat } from "node:fs/promises";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { openCheckpoint } from "../../shared/checkpoint/open.js";
import {
  EvaluatedModelSchema,
  type EvaluateRequest,
  EvaluateRequestSchema,
  type EvaluationBatchSchema,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { GraphBuilder, type Value } from "../../shared/onnx/graph-builder.js";
import { type TestTensor, writeCheckpoint } from "./checkpoints.js";
import { madeWeight } from "./made-weights.js";

// A language model that fits a screen, in the graphs that agents run, and the same in plain TypeScript. The state after a
// token is its embedding and half the sum of all embeddings up to it, so that caches and masks matter.

export const tiny = { vocabulary: 37, width: 8 } as const;
const { vocabulary, width } = tiny;

export type Init = MessageInitShape<typeof EvaluateRequestSchema>;
export type BatchInit = MessageInitShape<typeof EvaluationBatchSchema>;

/** What a request says of its model besides the checkpoint and the graphs. */
export interface ModelExtras {
  readonly cache?: { readonly heads: number; readonly width: number }[];
}

export const tinyTensors = {
  embedding: tensor("embedding", [vocabulary, width]),
  head: tensor("head", [vocabulary, width]),
} as const;

function tensor(name: string, shape: readonly number[]): TestTensor {
  return { dtype: "F32", shape, values: madeWeight(name, shape) };
}

export function writeTiny(folder: string, dtype: "F32" | "BF16" = "F32"): Promise<string> {
  const tensors = Object.entries(tinyTensors).map(([name, each]) => [name, { ...each, dtype } as TestTensor]);
  return writeCheckpoint(join(folder, `tiny-${dtype}`), Object.fromEntries(tensors));
}

function embed(g: GraphBuilder, ids: Value): Value {
  return g.op("Gather", [g.weight("embedding", [vocabulary, width]), ids]);
}

/** 0 or 1 by token, as [batch, time, 1]. */
function maskOf(g: GraphBuilder, mask: Value): Value {
  return g.op("Unsqueeze", [g.op("Cast", [mask], { to: 1 }), g.constant("INT64", [2])]);
}

export function bodyGraph(): Uint8Array {
  const g = new GraphBuilder("body");
  const ids = g.input("input_ids", "INT64", ["batch", "time"]);
  const mask = g.input("attention_mask", "INT64", ["batch", "time"]);
  const embedded = embed(g, ids);
  const sum = g.op("CumSum", [g.op("Mul", [embedded, maskOf(g, mask)]), g.constant("INT64", 1)]);
  const hidden = g.op("Add", [embedded, g.op("Mul", [sum, g.constant("FLOAT", 0.5)])]);
  g.output("hidden", hidden, "FLOAT", ["batch", "time", width]);
  return g.build().model;
}

/** The same, ending in logits, and without knowing a mask: as an export of other makers. */
export function logitsGraph(): Uint8Array {
  const g = new GraphBuilder("export");
  const ids = g.input("input_ids", "INT64", ["batch", "time"]);
  const positions = g.input("position_ids", "INT64", ["batch", "time"]);
  const embedded = embed(g, ids);
  const sum = g.op("CumSum", [embedded, g.constant("INT64", 1)]);
  const nothing = g.op("Mul", [maskOf(g, positions), g.constant("FLOAT", 0)]);
  const hidden = g.op("Add", [g.op("Add", [embedded, nothing]), g.op("Mul", [sum, g.constant("FLOAT", 0.5)])]);
  const weight = g.op("Transpose", [g.weight("head", [vocabulary, width])], { perm: [1, 0] });
  g.output("logits", g.op("MatMul", [hidden, weight]), "FLOAT", ["batch", "time", vocabulary]);
  return g.build().model;
}

export function headGraph(): Uint8Array {
  const g = new GraphBuilder("head");
  const hidden = g.input("hidden", "FLOAT", ["rows", width]);
  const targets = g.input("targets", "INT64", ["rows"]);
  const logits = g.op("Gemm", [hidden, g.weight("head", [vocabulary, width])], { transB: 1 });
  const column = g.op("Unsqueeze", [targets, g.constant("INT64", [1])]);
  const found = g.op("GatherElements", [g.op("LogSoftmax", [logits], { axis: -1 }), column], { axis: 1 });
  g.output("logprobs", g.op("Squeeze", [found, g.constant("INT64", [1])]), "FLOAT", ["rows"]);
  g.output("best", g.op("ArgMax", [logits], { axis: 1, keepdims: 0 }), "INT64", ["rows"]);
  return g.build().model;
}

/** With an encoder, what it made of the source is added to every state. */
export function stepGraph({ hasEncoder = false } = {}): Uint8Array {
  const g = new GraphBuilder("step");
  const ids = g.input("input_ids", "INT64", ["batch", "time"]);
  const mask = g.input("attention_mask", "INT64", ["batch", "all"]);
  const past = g.input("past/0", "FLOAT", ["batch", 1, "past", width]);
  const embedded = embed(g, ids);
  const time = g.op("Shape", [ids], { start: 1, end: 2 });
  const recent = g.op("Slice", [mask, g.op("Neg", [time]), g.constant("INT64", [1 << 30]), g.constant("INT64", [1])]);
  const counted = g.op("Mul", [embedded, maskOf(g, recent)]);
  const present = g.op("Concat", [past, g.op("Unsqueeze", [counted, g.constant("INT64", [1])])], { axis: 2 });
  const sum = g.op("ReduceSum", [present, g.constant("INT64", [2])], { keepdims: 0 });
  let hidden = g.op("Add", [embedded, g.op("Mul", [sum, g.constant("FLOAT", 0.5)])]);
  if (hasEncoder) {
    const cross = g.input("cross/0", "FLOAT", ["batch", 1, "source", width]);
    const sourceMask = g.input("encoder_attention_mask", "INT64", ["batch", "source"]);
    const counts = g.op("Unsqueeze", [maskOf(g, sourceMask), g.constant("INT64", [1])]);
    const source = g.op("ReduceSum", [g.op("Mul", [cross, counts]), g.constant("INT64", [2])], { keepdims: 0 });
    hidden = g.op("Add", [hidden, source]);
  }
  g.output("hidden", hidden, "FLOAT", ["batch", "time", width]);
  g.output("present/0", present, "FLOAT", ["batch", 1, "all", width]);
  return g.build().model;
}

export function encoderGraph(): Uint8Array {
  const g = new GraphBuilder("encoder");
  const ids = g.input("input_ids", "INT64", ["batch", "source"]);
  const mask = g.input("attention_mask", "INT64", ["batch", "source"]);
  const cross = g.op("Unsqueeze", [embed(g, ids), g.constant("INT64", [1])]);
  g.output("cross/0", cross, "FLOAT", ["batch", 1, "source", width]);
  g.output("encoder_attention_mask", mask, "INT64", ["batch", "source"]);
  return g.build().model;
}

/** The state after the last of `tokens`. `source` is what an encoder read. */
function state(tokens: readonly number[], source: readonly number[] = []): readonly number[] {
  const row = (token: number): readonly number[] => rowOf("embedding", token);
  return Array.from({ length: width }, (_, i) => {
    const all = tokens.reduce((sum, token) => sum + (row(token)[i] ?? 0), 0);
    const read = source.reduce((sum, token) => sum + (row(token)[i] ?? 0), 0);
    return (row(tokens.at(-1) ?? 0)[i] ?? 0) + all / 2 + read;
  });
}

function rowOf(name: keyof typeof tinyTensors, row: number): readonly number[] {
  return [...madeWeight(name, [vocabulary, width]).subarray(row * width, (row + 1) * width)];
}

/** log p of every token that may follow. */
export function tinyLogprobs(tokens: readonly number[], source?: readonly number[]): readonly number[] {
  const hidden = state(tokens, source);
  const logits = Array.from({ length: vocabulary }, (_, token) =>
    rowOf("head", token).reduce((sum, weight, i) => sum + weight * (hidden[i] ?? 0), 0),
  );
  const norm = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - norm);
}

/** The most likely continuation, up to a token of `stop`. */
export function tinyContinuation(
  tokens: readonly number[],
  count: number,
  { stop = [], source }: { stop?: readonly number[]; source?: readonly number[] } = {},
): readonly number[] {
  const all = [...tokens];
  for (let i = 0; i < count; i++) {
    const logprobs = tinyLogprobs(all, source);
    const best = logprobs.indexOf(Math.max(...logprobs));
    if (stop.includes(best)) break;
    all.push(best);
  }
  return all.slice(tokens.length);
}

/** Token lists as a batch, padded on one side. */
export function textBatch(
  batch: number,
  texts: readonly (readonly number[])[],
  { side = "left", more = {} }: { side?: "left" | "right"; more?: { rows?: number[]; targets?: number[] } } = {},
): BatchInit {
  const time = Math.max(...texts.map(({ length }) => length));
  const pad = (row: readonly number[]): readonly number[] => {
    const padding = Array<number>(time - row.length).fill(0);
    return side === "left" ? [...padding, ...row] : [...row, ...padding];
  };
  const inputs = [
    whole("input_ids", texts.map(pad)),
    whole(
      "attention_mask",
      texts.map((text) => pad(text.map(() => 1))),
    ),
  ];
  return { batch, inputs, ...more };
}

export function whole(name: string, rows: readonly (readonly number[])[]) {
  const data = new Uint8Array(Int32Array.from(rows.flat()).buffer);
  return { name, dtype: "I32", shape: [rows.length, rows[0]?.length ?? 0], data };
}

export function floatInput(name: string, shape: readonly number[], values: readonly number[]) {
  return { name, dtype: "F32", shape: [...shape], data: new Uint8Array(Float32Array.from(values).buffer) };
}

/** A request for `path`, its files as they are now. */
export async function evaluateRequest(
  path: string,
  graphs: Readonly<Record<string, Uint8Array>>,
  request: Init,
  extras: ModelExtras = {},
): Promise<EvaluateRequest> {
  const { files } = await openCheckpoint(path);
  const sources = await Promise.all(
    files.map(async (file) => {
      const { size, mtimeMs } = await stat(file.path);
      return { path: file.path, bytes: BigInt(size), modifiedMs: mtimeMs };
    }),
  );
  const listed = Object.entries(graphs).map(([role, model]) => ({ role, model }));
  const model = create(EvaluatedModelSchema, { checkpoint: path, sources, graphs: listed, ...extras });
  return create(EvaluateRequestSchema, { ...request, model });
}
