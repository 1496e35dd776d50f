import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bucketsByDistance } from "../../../coordinator/graphs/blocks/relative-bias.js";
import { t5Families } from "../../../coordinator/graphs/t5/families.js";
import type { GraphRequest, ModelGraphs } from "../../../coordinator/graphs/types.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import {
  cornerOf,
  feedsOf,
  largestDifference,
  padLeft,
  present,
  type Rows,
  runOnText,
  type TextRows,
} from "../../support/graph-goldens.js";
import { madeWeight, madeWeights } from "../../support/made-weights.js";
import { repositoryPath } from "../../support/repository.js";
import { type Feed, type GraphOutput, runGraph } from "../../support/run-graph.js";

// What transformers answers, see t5.py: tiny models of every form, and the published t5-small at two layers.

interface Model {
  readonly family: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

interface Golden extends Model {
  /** What queries' weights are multiplied with. */
  readonly queryScale: number;
  readonly batches: Readonly<Record<string, Batch>>;
}

interface Batch {
  readonly inputs: Readonly<
    Record<"input_ids" | "attention_mask" | "decoder_input_ids" | "decoder_attention_mask", Rows>
  >;
  /** Of the last positions. */
  readonly hidden: readonly number[];
  readonly hiddenShape: readonly [number, number, number];
  readonly targets: Rows;
  readonly logprobs: readonly number[];
  readonly best: Rows;
  readonly generated: Rows;
}

interface Bucketing {
  readonly buckets: number;
  readonly maxDistance: number;
  readonly bidirectional: boolean;
  readonly byDistance: readonly number[];
}

const tolerance = 1e-4;
const names = ["t5", "t5-v1.1", "mt5", "t5-small"];

describe.each(names)("%s of transformers", (name) => {
  const golden = readGolden<Golden>(name);
  const weights = weightsOf(golden);
  let temp: Awaited<ReturnType<typeof withTempDir>>;
  let model: ModelGraphs;
  beforeAll(async () => {
    temp = await withTempDir();
    await writeCheckpoint(temp.path, weights);
    model = build(golden, weights, { generates: true });
  });
  afterAll(() => temp[Symbol.asyncDispose]());

  const batches = Object.entries(golden.batches);

  test.each(batches)("has the same hidden states, batch %s, whichever side padding is on", async (_, batch) => {
    const { decoder_attention_mask: mask, attention_mask: sourceMask, input_ids } = batch.inputs;
    const source = { input_ids, attention_mask: sourceMask };
    for (const padded of [source, padLeft(source, sourceMask)]) {
      const hidden = await runOnText(model.graphs.body, temp.path, { ...batch.inputs, ...padded }, "hidden");
      const corner = cornerOf(hidden, mask, batch.hiddenShape, "last");
      expect(largestDifference(corner, batch.hidden)).toBeLessThan(tolerance);
    }
  });

  test.each(batches)("has the same log-probabilities and best tokens, batch %s", async (_, batch) => {
    const hidden = await runOnText(model.graphs.body, temp.path, batch.inputs, "hidden");
    const { logprobs, best } = await runHead(model, temp.path, hidden, batch.targets.flat());
    const isToken = batch.inputs.decoder_attention_mask.flat().map((bit) => bit === 1);
    const ofTokens = (list: ArrayLike<number | bigint>) => Array.from(list, Number).filter((_, i) => isToken[i]);
    expect(largestDifference(ofTokens(logprobs.values), ofTokens(batch.logprobs))).toBeLessThan(tolerance);
    expect(ofTokens(best.values)).toEqual(ofTokens(batch.best.flat()));
  });

  test.each(batches)("generates the same tokens greedily, batch %s", async (_, batch) => {
    const { input_ids, attention_mask } = batch.inputs;
    const tokens = await generate(model, temp.path, { input_ids, attention_mask }, batch.generated[0]?.length ?? 0);
    expect(tokens).toEqual(batch.generated);
  });

  test("computes several tokens in one step as in one body", async () => {
    const { input_ids, attention_mask, decoder_input_ids, decoder_attention_mask } = present(
      golden.batches["padded"],
      "batch",
    ).inputs;
    const step = await firstStep(model, temp.path, { input_ids, attention_mask }, decoder_input_ids);
    const mask = decoder_attention_mask.map((row) => row.map(() => 1));
    const inputs = { input_ids, attention_mask, decoder_input_ids, decoder_attention_mask: mask };
    const hidden = await runOnText(model.graphs.body, temp.path, inputs, "hidden");
    expect(largestDifference(present(step["hidden"], "hidden").values, Array.from(hidden.values, Number))).toBeLessThan(
      tolerance,
    );
  });
});

test("T5 1.1 has the same log-probabilities with the config that transformers 5 writes", async () => {
  const golden = readGolden<Golden>("t5-v1.1");
  const weights = weightsOf(golden);
  await using temp = await withTempDir();
  await writeCheckpoint(temp.path, weights);
  const config = { ...golden.config, tie_word_embeddings: true, scale_decoder_outputs: false };
  const model = build({ ...golden, config }, weights, {});
  const batch = present(golden.batches["one"], "batch");
  const hidden = await runOnText(model.graphs.body, temp.path, batch.inputs, "hidden");
  const { logprobs } = await runHead(model, temp.path, hidden, batch.targets.flat());
  expect(largestDifference(Array.from(logprobs.values, Number), batch.logprobs)).toBeLessThan(tolerance);
});

test.each(
  readGolden<readonly (Model & { readonly inputs: TextRows; readonly vectors: readonly number[] })[]>("encoders"),
)("$family without a decoder embeds texts as transformers does", async ({ inputs, vectors, ...model }) => {
  await using temp = await withTempDir();
  const weights = madeWeights(model.shapes);
  await writeCheckpoint(temp.path, weights);
  const { graphs, kind } = build(model, weights, { pooling: { mode: "mean", normalize: true } });
  expect(kind).toBe("encoder");
  const got = await runOnText(graphs.body, temp.path, inputs, "vectors");
  expect(largestDifference(got.values, vectors)).toBeLessThan(tolerance);
});

test.each(readGolden<readonly Bucketing[]>("buckets"))(
  "$buckets buckets of distances to $maxDistance, bidirectional: $bidirectional",
  ({ byDistance, ...how }) => {
    expect(bucketsByDistance(how)).toEqual(byDistance);
  },
);

function weightsOf({ shapes, queryScale }: Golden): ReadonlyMap<string, TestTensor> {
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const scale = name.endsWith(".q.weight") ? queryScale : 1;
      return [name, { dtype: "F32", shape, values: madeWeight(name, shape).map((value) => value * scale) }];
    }),
  );
}

function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(repositoryPath(`test/conformance/graphs/t5/${name}.json`), "utf8"));
}

function build(
  { family, config }: Model,
  tensors: ReadonlyMap<string, TestTensor>,
  how: Partial<GraphRequest>,
): ModelGraphs {
  return present(t5Families[family], family)({ config, tensors, configFile: "config.json", ...how });
}

/** `hidden` is [batch, time, width]; a row each. */
async function runHead(model: ModelGraphs, checkpoint: string, hidden: GraphOutput, targets: readonly number[]) {
  const [batch = 0, time = 0, width = 0] = hidden.shape;
  const shape = [batch * time];
  const { logprobs, best } = await runGraph(present(model.graphs.head, "head").model, checkpoint, {
    hidden: { type: "F32", shape: [batch * time, width], values: Array.from(hidden.values, Number) },
    targets: { type: "I64", shape, values: targets },
  });
  return { logprobs: present(logprobs, "logprobs"), best: present(best, "best") };
}

type Outputs = Readonly<Record<string, GraphOutput>>;

/** As an agent does: the encoder once, then a token a step. */
async function generate(model: ModelGraphs, checkpoint: string, source: TextRows, count: number): Promise<Rows> {
  const start = present(model.decoderStart, "token to start with");
  const generated: number[][] = present(source["input_ids"], "input").map(() => []);
  const encoded = await encode(model, checkpoint, source);
  let outputs: Outputs | undefined;
  for (let position = 0; position < count; position++) {
    const tokens = generated.map((row) => [row.at(-1) ?? start]);
    outputs = await runStep(model, checkpoint, encoded, tokens, outputs);
    const { best } = await runHead(model, checkpoint, present(outputs["hidden"], "hidden"), tokens.flat());
    for (const [row, token] of Array.from(best.values, Number).entries()) generated[row]?.push(token);
  }
  return generated;
}

async function firstStep(model: ModelGraphs, checkpoint: string, source: TextRows, tokens: Rows): Promise<Outputs> {
  return runStep(model, checkpoint, await encode(model, checkpoint, source), tokens, undefined);
}

async function encode(
  model: ModelGraphs,
  checkpoint: string,
  source: TextRows,
): Promise<Readonly<Record<string, Feed>>> {
  const outputs = await runGraph(present(model.graphs.encoder, "encoder").model, checkpoint, feedsOf(source));
  return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, feedBack(output)]));
}

async function runStep(
  model: ModelGraphs,
  checkpoint: string,
  encoded: Readonly<Record<string, Feed>>,
  tokens: Rows,
  last: Outputs | undefined,
): Promise<Outputs> {
  const past = present(model.cache, "cache").map(({ heads, width }, i): [string, Feed] => {
    const known = last?.[`present/${i}`];
    const empty: Feed = { type: "F32", shape: [tokens.length, heads, 0, width], values: [] };
    return [`past/${i}`, known === undefined ? empty : feedBack(known)];
  });
  const seen = past[0]?.[1].shape[2] ?? 0;
  const mask = tokens.map((row) => Array.from({ length: seen + row.length }, () => 1));
  const feeds = { ...encoded, ...Object.fromEntries(past), ...feedsOf({ input_ids: tokens, attention_mask: mask }) };
  return runGraph(present(model.graphs.step, "step").model, checkpoint, feeds);
}

function feedBack({ shape, values }: GraphOutput): Feed {
  return values instanceof BigInt64Array
    ? { type: "I64", shape, values: Array.from(values, Number) }
    : { type: "F32", shape, values };
}
