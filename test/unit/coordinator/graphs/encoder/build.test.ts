import { expect, test } from "vitest";
import { encoderFamilies } from "../../../../../coordinator/graphs/encoder/families.js";
import type { GraphRequest, ModelGraphs } from "../../../../../coordinator/graphs/types.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../../../support/checkpoints.js";
import { largestDifference, runOnText } from "../../../../support/graph-goldens.js";
import { madeWeights } from "../../../../support/made-weights.js";

const bert = {
  model_type: "bert",
  vocab_size: 9,
  hidden_size: 4,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 6,
  max_position_embeddings: 8,
  type_vocab_size: 2,
};
const distilbert = { vocab_size: 9, dim: 4, n_layers: 1, n_heads: 2, hidden_dim: 6, max_position_embeddings: 8 };
const embeddings = { "embeddings.word_embeddings.weight": [9, 4] };

test.each([
  ["bert", { ...bert, hidden_size: undefined }, '"hidden_size" is missing, expected a whole number above 0'],
  ["bert", { ...bert, num_attention_heads: 3 }, '"num_attention_heads" is 3, which does not divide the hidden size 4'],
  ["bert", { ...bert, num_hidden_layers: 2e9 }, '"num_hidden_layers" is 2000000000, the limit is 1,024'],
  ["bert", { ...bert, hidden_act: "mish" }, '"hidden_act" is "mish", which is not supported'],
  [
    "bert",
    { ...bert, position_embedding_type: "relative_key" },
    '"position_embedding_type" is "relative_key", which is not supported, only "absolute" is',
  ],
  ["bert", { ...bert, is_decoder: true }, '"is_decoder" is true, which is not supported: only encoders are'],
  ["roberta", { ...bert, pad_token_id: 7 }, '"pad_token_id" is 7, which leaves no room among 8 positions'],
  [
    "mpnet",
    { ...bert, relative_attention_num_buckets: 16 },
    '"relative_attention_num_buckets" is 16, which is not supported, only 32 is',
  ],
  ["distilbert", { ...distilbert, n_heads: 3 }, '"n_heads" is 3, which does not divide the hidden size 4'],
])("a config of %s that cannot be followed: %o", (family, config, problem) => {
  expect(() => build(family, config, embeddings)).toThrow(
    expect.objectContaining({ code: "checkpoint_mismatch", message: expect.stringContaining(problem) }),
  );
  expect(() => build(family, config, embeddings)).toThrow('Cannot build a graph from "models/a/config.json"');
});

test("a checkpoint of another architecture is told by its tensors", () => {
  expect(() => build("bert", bert, { "model.embed_tokens.weight": [9, 4] })).toThrow(
    'the checkpoint has no tensor "bert.embeddings.word_embeddings.weight" or "embeddings.word_embeddings.weight"',
  );
});

test("logits of a checkpoint that has no classifier are refused", () => {
  expect(() => build("bert", bert, embeddings, { output: "logits" })).toThrow(
    'the checkpoint has no tensor "classifier.weight", which would make the logits',
  );
});

test.each(["distilbert", "bert"])("a pooler is not made up: %s without one", (family) => {
  const config = family === "bert" ? bert : distilbert;
  expect(() => build(family, config, embeddings, { pooling: { mode: "pooler", normalize: false } })).toThrow(
    'the checkpoint has no pooler: choose pooling "mean", "cls" or "last"',
  );
});

test.each([
  ["hidden", "encoder", bert, {}],
  ["vectors", "encoder", bert, { pooling: { mode: "cls", normalize: true } }],
  ["vectors", "encoder", { ...bert, architectures: ["BertModel"] }, { output: "vectors" }],
  ["logits", "classifier", { ...bert, architectures: ["BertForSequenceClassification"] }, {}],
  ["hidden", "encoder", { ...bert, architectures: ["BertForSequenceClassification"] }, { output: "hidden" }],
] as const)("the body ends in %s of an %s: %o %o", async (output, kind, config, request) => {
  const shapes = bertShapes("bert.");
  const model = build("bert", config, shapes, request);
  expect({ kind: model.kind, maxTokens: model.maxTokens, vocabulary: model.vocabulary }).toEqual({
    kind,
    maxTokens: 8,
    vocabulary: 9,
  });
  await using temp = await withTempDir();
  await writeCheckpoint(temp.path, madeWeights(shapes));
  const { shape } = await runOnText(model.graphs.body, temp.path, oneText, output);
  expect(shape).toEqual(output === "hidden" ? [1, 3, 4] : output === "vectors" ? [1, 4] : [1, 5]);
});

test("norms of checkpoints from TensorFlow are called gamma and beta", async () => {
  await using temp = await withTempDir();
  const tensors = madeWeights(bertShapes("bert."));
  const old = new Map(
    [...tensors].map(([name, tensor]): [string, TestTensor] => [
      name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
      tensor,
    ]),
  );
  const answers = [];
  for (const [folder, checkpoint] of Object.entries({ new: tensors, old })) {
    const path = await writeCheckpoint(`${temp.path}/${folder}`, checkpoint);
    const { graphs } = build(
      "bert",
      bert,
      Object.fromEntries([...checkpoint].map(([name, { shape }]) => [name, shape])),
    );
    answers.push(Array.from((await runOnText(graphs.body, path, oneText, "hidden")).values, Number));
  }
  const [fromNew = [], fromOld = []] = answers;
  expect(largestDifference(fromOld, fromNew)).toBe(0);
});

test("an example without tokens fills up a batch and changes nothing", async () => {
  const shapes = bertShapes("");
  await using temp = await withTempDir();
  await writeCheckpoint(temp.path, madeWeights(shapes));
  const { graphs } = build("bert", bert, shapes, { pooling: { mode: "mean", normalize: true } });
  const alone = await runOnText(graphs.body, temp.path, oneText, "vectors");
  const twice = Object.fromEntries(Object.entries(oneText).map(([name, rows]) => [name, [...rows, [0, 0, 0]]]));
  const filled = Array.from((await runOnText(graphs.body, temp.path, twice, "vectors")).values, Number);
  expect(filled.every(Number.isFinite)).toBe(true);
  expect(largestDifference(filled.slice(0, 4), Array.from(alone.values, Number))).toBeLessThan(1e-6);
});

const oneText = { input_ids: [[3, 4, 5]], attention_mask: [[1, 1, 1]], token_type_ids: [[0, 0, 1]] };

function build(
  family: string,
  config: unknown,
  shapes: Readonly<Record<string, readonly number[]>>,
  request: Partial<GraphRequest> = {},
): ModelGraphs {
  const tensors = new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
  const graphs = encoderFamilies[family]?.({ config, tensors, configFile: "models/a/config.json", ...request });
  if (graphs === undefined) throw new Error(`There is no family ${family}`);
  return graphs;
}

/** A classifier of five classes. */
function bertShapes(prefix: string): Readonly<Record<string, readonly number[]>> {
  const linear = (name: string, out: number, width: number) => ({
    [`${name}.weight`]: [out, width],
    [`${name}.bias`]: [out],
  });
  const norm = (name: string) => ({ [`${name}.LayerNorm.weight`]: [4], [`${name}.LayerNorm.bias`]: [4] });
  const own = {
    "embeddings.word_embeddings.weight": [9, 4],
    "embeddings.position_embeddings.weight": [8, 4],
    "embeddings.token_type_embeddings.weight": [2, 4],
    ...norm("embeddings"),
    ...linear("encoder.layer.0.attention.self.query", 4, 4),
    ...linear("encoder.layer.0.attention.self.key", 4, 4),
    ...linear("encoder.layer.0.attention.self.value", 4, 4),
    ...linear("encoder.layer.0.attention.output.dense", 4, 4),
    ...norm("encoder.layer.0.attention.output"),
    ...linear("encoder.layer.0.intermediate.dense", 6, 4),
    ...linear("encoder.layer.0.output.dense", 4, 6),
    ...norm("encoder.layer.0.output"),
    ...linear("pooler.dense", 4, 4),
  };
  const prefixed = Object.fromEntries(Object.entries(own).map(([name, shape]) => [prefix + name, shape]));
  return { ...prefixed, ...linear("classifier", 5, 4) };
}
