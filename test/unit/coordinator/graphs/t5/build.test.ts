import { expect, test } from "vitest";
import { t5Families } from "../../../../../coordinator/graphs/t5/families.js";
import type { GraphRequest, ModelGraphs } from "../../../../../coordinator/graphs/types.js";

const tiny = { vocab_size: 9, d_model: 4, d_kv: 3, d_ff: 6, num_layers: 2, num_heads: 2, decoder_start_token_id: 0 };
const whole = { "shared.weight": [9, 4], "decoder.final_layer_norm.weight": [4] };

test.each([
  [{ ...tiny, d_kv: null }, '"d_kv" is missing, expected a whole number above 0'],
  [{ ...tiny, num_layers: 5000 }, '"num_layers" is 5000, the limit is 1,024'],
  [{ ...tiny, feed_forward_proj: "gated-glu" }, '"feed_forward_proj" is "gated-glu", which is not supported'],
  [{ ...tiny, feed_forward_proj: "gated_gelu" }, 'did you mean "gated-gelu"?'],
  [{ ...tiny, relative_attention_num_buckets: 2 }, "below the 4 that two directions need"],
  [{ ...tiny, relative_attention_max_distance: 16 }, "not above half of the 32 buckets"],
  [{ ...tiny, relative_attention_max_distance: 1e9 }, "the limit is 65,536"],
  [{ ...tiny, tie_word_embeddings: "yes" }, '"tie_word_embeddings" is "yes", expected true or false'],
])("a config that cannot be followed: %o", (config, problem) => {
  expect(() => build(config, whole)).toThrow(
    expect.objectContaining({ code: "checkpoint_mismatch", message: expect.stringContaining(problem) }),
  );
  expect(() => build(config, whole)).toThrow('Cannot build a graph from "models/a/config.json"');
});

test("a classifier of T5 is refused", () => {
  expect(() => build(tiny, whole, { output: "logits" })).toThrow("classifiers are not supported");
});

test("a T5 has no pooler", () => {
  expect(() => build(tiny, whole, { pooling: { mode: "pooler", normalize: false } })).toThrow("which has no pooler");
});

test.each([
  [whole, {}, "seq2seq", ["body", "head"]],
  [whole, { generates: true }, "seq2seq", ["body", "head", "encoder", "step"]],
  [whole, { pooling: { mode: "mean", normalize: true } }, "encoder", ["body"]],
  [{ "shared.weight": [9, 4] }, { generates: true }, "encoder", ["body"]],
] as const)("a checkpoint with %o, asked for %o, is a %s", (shapes, request, kind, roles) => {
  const model = build(tiny, shapes, request);
  expect(model.kind).toBe(kind);
  expect(Object.keys(model.graphs)).toEqual(roles);
});

test.each([
  [{}, { tie_word_embeddings: true }],
  [{ tie_word_embeddings: false }, { tie_word_embeddings: true, scale_decoder_outputs: false }],
  [{ tie_word_embeddings: true }, { tie_word_embeddings: true, scale_decoder_outputs: true }],
])("a config with %o means the same as one by transformers 5 with %o", (old, written) => {
  const headOf = (says: object) => build({ ...tiny, ...says }, whole).graphs.head?.model;
  expect(headOf(written)).toEqual(headOf(old));
  expect(headOf({ tie_word_embeddings: false })).not.toEqual(headOf({}));
});

test("a missing feed_forward_proj is ReLU to T5, and gated GELU to mT5", () => {
  const upsOf = (family: string) => {
    const { body } = build(tiny, whole, {}, family).graphs;
    return body?.weights.flatMap(({ name }) => /^encoder.block.0.*(wi.*)\.weight$/.exec(name)?.[1] ?? []);
  };
  expect(upsOf("t5")).toEqual(["wi"]);
  expect(upsOf("mt5")).toEqual(["wi_0", "wi_1"]);
});

test("the cache has keys and values of each layer of the decoder", () => {
  const { cache } = build({ ...tiny, num_decoder_layers: 1 }, whole, { generates: true });
  expect(cache).toEqual([
    { heads: 2, width: 3 },
    { heads: 2, width: 3 },
  ]);
});

test.each([
  ["shared.weight", whole],
  ["encoder.embed_tokens.weight", { ...whole, "encoder.embed_tokens.weight": [9, 4], "shared.weight": undefined }],
  ["lm_head.weight", { ...whole, "lm_head.weight": [9, 4] }],
])("the head is %s where the checkpoint has it", (name, shapes) => {
  const { head } = build(tiny, shapes).graphs;
  expect(head?.weights.map((weight) => weight.name)).toEqual([name]);
});

function build(
  config: unknown,
  shapes: Readonly<Record<string, readonly number[] | undefined>>,
  request: Partial<GraphRequest> = {},
  family = "t5",
): ModelGraphs {
  const known = Object.entries(shapes).flatMap(([name, shape]) => (shape === undefined ? [] : [{ name, shape }]));
  const tensors = new Map(known.map(({ name, shape }) => [name, { shape, dtype: "F32" }]));
  const graphs = t5Families[family]?.({ config, tensors, configFile: "models/a/config.json", ...request });
  if (graphs === undefined) throw new Error(`There is no ${family}`);
  return graphs;
}
