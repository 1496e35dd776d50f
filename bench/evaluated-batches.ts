import { writeFileSync } from "node:fs";
import type { GraphNeeds } from "../coordinator/evaluate/kinds/context.js";
import type { Batch, InputTensor, Measure } from "../coordinator/evaluate/types.js";
import { formatHeader } from "../shared/checkpoint/header.js";
import { bertBase, type EvaluatedModel, smolLm, vitBase } from "./evaluated-models.js";

/** One batch, and what a model is asked about it. */
export interface Workload {
  readonly name: string;
  /** For evaluate_reference.py. */
  readonly work: "likelihood" | "embeddings" | "logits" | "generation";
  readonly model: EvaluatedModel;
  readonly needs: GraphNeeds;
  readonly measure: Measure;
  readonly batch: Batch;
  readonly examples: number;
  /** What is counted, and how many of them a batch has. */
  readonly unit: "tokens" | "examples";
  readonly count: number;
}

/** What one model or another is evaluated by. */
export const workloads: readonly (() => Workload)[] = [likelihood, embeddings, classification, generation];

const newTokens = 64;

function likelihood(): Workload {
  const [examples, time] = [8, 256];
  const ids = tokens(examples * time, 49_152);
  // Every token but each example's first is predicted by the one before it.
  const rows = Uint32Array.from({ length: examples * (time - 1) }, (_, i) => i + Math.floor(i / (time - 1)));
  return {
    name: `log-likelihoods, decoder of 135 M, ${examples} × ${time} tokens`,
    work: "likelihood",
    model: smolLm(),
    needs: { output: "hidden" },
    measure: { kind: "likelihood" },
    batch: {
      inputs: textInputs(ids, Array<number>(examples).fill(time)),
      targets: { rows, tokens: rows.map((row) => Number(ids[row + 1])) },
    },
    ...{ examples, unit: "tokens", count: examples * time },
  };
}

function embeddings(): Workload {
  const [examples, time] = [32, 64];
  const lengths = Array.from({ length: examples }, (_, i) => time - i);
  return {
    name: `embeddings, encoder of 109 M, ${examples} × ${time / 2} to ${time} tokens`,
    work: "embeddings",
    model: bertBase(),
    needs: { output: "vectors", pooling: { mode: "mean", normalize: false } },
    measure: { kind: "vectors", graph: "body" },
    batch: { inputs: textInputs(tokens(examples * time, 30_522), lengths) },
    ...{ examples, unit: "examples", count: examples },
  };
}

function classification(): Workload {
  const examples = 8;
  const shape = [examples, 3, 224, 224];
  const values = Float32Array.from({ length: examples * 3 * 224 ** 2 }, (_, i) => Math.sin(i * i));
  return {
    name: `classification, ViT-B/16, ${examples} images`,
    work: "logits",
    model: vitBase(),
    needs: { output: "logits" },
    measure: { kind: "vectors", graph: "body" },
    batch: { inputs: new Map([["pixel_values", { dtype: "F32", shape, data: bytesOf(values) }]]) },
    ...{ examples, unit: "examples", count: examples },
  };
}

function generation(): Workload {
  const [examples, time] = [4, 64];
  return {
    name: `greedy generation, decoder of 135 M, ${examples} × ${time} tokens and ${newTokens} new ones`,
    work: "generation",
    model: smolLm(),
    needs: { output: "hidden", generates: true },
    measure: { kind: "generation", maxNewTokens: newTokens, stop: [] },
    batch: { inputs: textInputs(tokens(examples * time, 49_152), Array<number>(examples).fill(time)) },
    ...{ examples, unit: "tokens", count: examples * newTokens },
  };
}

/** Tokens that are all over the vocabulary, from 3 on. */
function tokens(count: number, vocabulary: number): BigInt64Array {
  return BigInt64Array.from({ length: count }, (_, i) => BigInt(3 + ((i * 7919) % (vocabulary - 3))));
}

/** Rows of one width, of which so many tokens count. */
function textInputs(ids: BigInt64Array, lengths: readonly number[]): ReadonlyMap<string, InputTensor> {
  const shape = [lengths.length, ids.length / lengths.length];
  const mask = lengths.flatMap((length) => Array.from({ length: shape[1] ?? 0 }, (_, i) => (i < length ? 1n : 0n)));
  return new Map([
    ["input_ids", { dtype: "I64", shape, data: bytesOf(ids) }],
    ["attention_mask", { dtype: "I64", shape, data: bytesOf(BigInt64Array.from(mask)) }],
  ]);
}

function bytesOf({ buffer, byteOffset, byteLength }: BigInt64Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** A batch's inputs as a safetensors file, which other programs read. */
export function writeInputs(file: string, { inputs }: Batch): string {
  const entries = [...inputs].map(([name, { dtype, shape }]) => ({ name, dtype: dtype as "I64" | "F32", shape }));
  writeFileSync(file, Buffer.concat([formatHeader(entries), ...[...inputs.values()].map(({ data }) => data)]));
  return file;
}
