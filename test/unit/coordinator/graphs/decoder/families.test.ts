import { expect, test } from "vitest";
import { decoderFamilies } from "../../../../../coordinator/graphs/decoder/families.js";
import type { GraphRequest, ModelGraphs } from "../../../../../coordinator/graphs/types.js";

/** A config that every family can read. */
const tiny = {
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  max_position_embeddings: 32,
  hidden_act: "silu",
  tie_word_embeddings: true,
};

function build(family: string, config: unknown, request: Partial<GraphRequest> = {}): ModelGraphs {
  const tensors = new Map([["model.embed_tokens.weight", { shape: [16, 8], dtype: "F32" }]]);
  const graphs = decoderFamilies[family]?.({ config, tensors, configFile: "config.json", ...request });
  if (graphs === undefined) throw new Error(`There is no family ${family}`);
  return graphs;
}

const tensorsOf = (...names: string[]) => new Map(names.map((name) => [name, { shape: [16, 8], dtype: "F32" }]));

test.each<[string, string, object, string]>([
  [
    "no size",
    "llama",
    { ...tiny, hidden_size: undefined },
    '"hidden_size" is missing, expected a whole number above 0',
  ],
  [
    "a million layers",
    "llama",
    { ...tiny, num_hidden_layers: 1e6 },
    '"num_hidden_layers" is 1000000, the limit is 1,024',
  ],
  [
    "heads that do not divide",
    "mistral",
    { ...tiny, num_key_value_heads: 3 },
    '"num_key_value_heads" is 3, which does not divide "num_attention_heads", 4',
  ],
  [
    "an unknown activation",
    "qwen2",
    { ...tiny, hidden_act: "silo" },
    '"hidden_act" is "silo", which is not supported, only "relu", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", ' +
      '"quick_gelu", "silu", "swish", "tanh" are; did you mean "silu"?',
  ],
  [
    "an unknown RoPE",
    "llama",
    { ...tiny, rope_scaling: { rope_type: "mrope", mrope_section: [1, 1] } },
    '"rope_scaling.rope_type" is "mrope", which is not supported, only "default", "linear", "dynamic", "yarn", ' +
      '"longrope", "llama3" are',
  ],
  [
    "RoPE without its factor",
    "qwen3",
    { ...tiny, rope_parameters: { rope_type: "linear", rope_theta: 1e4 } },
    '"rope_parameters.factor" is missing, expected a number',
  ],
  [
    "LongRoPE for heads of another width",
    "phi3",
    { ...tiny, rope_scaling: { type: "su", short_factor: [1], long_factor: [1, 2] } },
    '"rope_scaling.short_factor" has length 1 instead of 2',
  ],
  [
    "heads rotated by half an element",
    "phi3",
    { ...tiny, partial_rotary_factor: 0.3 },
    '"partial_rotary_factor" is 0.3, which rotates 1 of a head\'s 4 elements; that must be an even number',
  ],
  [
    "a kind of layer that is not known",
    "gemma2",
    { ...tiny, layer_types: ["full_attention", "linear_attention"] },
    '"layer_types" is ["full_attention","linear_attention"], only "full_attention" and "sliding_attention" are supported',
  ],
  [
    "too few kinds of layers",
    "gemma3",
    { ...tiny, layer_types: ["full_attention"] },
    '"layer_types" has length 1 instead of 2',
  ],
  [
    "attention to what comes later",
    "gemma3_text",
    { ...tiny, use_bidirectional_attention: true },
    '"use_bidirectional_attention" is true, only models that see no later tokens are supported',
  ],
  [
    "attention both ways, as transformers 5 has it for every family",
    "qwen2",
    { ...tiny, is_causal: false },
    '"is_causal" is false, only models that see no later tokens are supported',
  ],
])("%s is refused", (_, family, config, problem) => {
  const message = `Cannot build a graph from "config.json": ${problem}`;
  expect(() => build(family, config)).toThrow(expect.objectContaining({ code: "checkpoint_mismatch", message }));
});

test("a checkpoint of another architecture is told by its embedding", () => {
  const request = { tensors: tensorsOf("transformer.wte.weight") };
  expect(() => build("llama", tiny, request)).toThrow(
    /the checkpoint has no embedding, that is, none of "model\.embed_tokens/,
  );
});

test("a decoder has no pooler", () => {
  const request = { output: "vectors", pooling: { mode: "pooler", normalize: true } } as const;
  expect(() => build("llama", tiny, request)).toThrow('a decoder has no pooler; pool by "mean", "cls" or "last"');
});

test.each([
  ["alone", "embed_tokens.weight", "layers.0.mlp.up_proj.weight"],
  ["with a head", "model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"],
  [
    "beside an image tower",
    "language_model.model.embed_tokens.weight",
    "language_model.model.layers.0.mlp.up_proj.weight",
  ],
])("weights of a decoder %s are found under their prefix", (_, embedding, weight) => {
  const { graphs } = build("gemma3", { text_config: tiny }, { tensors: tensorsOf(embedding) });
  expect(graphs.body?.weights.map(({ name }) => name)).toContain(weight);
});

test("a tied head is the embedding, another one is its own, and one that is nowhere is none", () => {
  const headOf = (tied: boolean, ...names: string[]) => {
    const config = { ...tiny, tie_word_embeddings: tied };
    const { kind, graphs } = build("llama", config, { tensors: tensorsOf("model.embed_tokens.weight", ...names) });
    return [kind, graphs.head?.weights];
  };
  const shape = [16, 8];
  expect(headOf(true)).toEqual(["decoder", [{ name: "model.embed_tokens.weight", shape }]]);
  expect(headOf(false, "lm_head.weight")).toEqual(["decoder", [{ name: "lm_head.weight", shape }]]);
  expect(headOf(true, "lm_head.weight")).toEqual(["decoder", [{ name: "lm_head.weight", shape }]]);
  expect(headOf(false)).toEqual(["encoder", undefined]);
});

test("a text_config that says only what differs has transformers' sizes otherwise", () => {
  const said = { hidden_size: 2560, intermediate_size: 10240, num_hidden_layers: 1, sliding_window: 1024 };
  const tensors = tensorsOf("language_model.model.embed_tokens.weight");
  const { maxTokens, vocabulary, graphs } = build("gemma3", { text_config: said }, { tensors });
  expect([maxTokens, vocabulary]).toEqual([131_072, 262_208]);
  const projections = graphs.body?.weights.filter(({ name }) => /self_attn\.[qk]_proj/.test(name));
  expect(projections?.map(({ shape }) => shape)).toEqual([
    [2048, 2560],
    [1024, 2560],
  ]);
});

test.each([
  ["llama", 2_048],
  ["mistral", 131_072],
  ["qwen2", 32_768],
  ["qwen3", 32_768],
  ["gemma", 8_192],
  ["gemma2", 8_192],
  ["gemma3_text", 131_072],
  ["phi3", 4_096],
])("%s takes %d tokens where its config does not say", (family, maxTokens) => {
  expect(build(family, { ...tiny, max_position_embeddings: undefined }).maxTokens).toBe(maxTokens);
});

test("a causal language model without a head is refused", () => {
  const config = { ...tiny, tie_word_embeddings: false, architectures: ["LlamaForCausalLM"] };
  const problem =
    'is ["LlamaForCausalLM"], but the checkpoint has no "lm_head.weight", and "tie_word_embeddings" is not true';
  expect(() => build("llama", config)).toThrow(problem);
});

test("a model that is to generate has a step, and a cache with keys and values of each layer", () => {
  expect(build("llama", tiny).graphs.step).toBeUndefined();
  const { graphs, cache } = build("llama", tiny, { generates: true });
  expect(graphs.step?.weights).toEqual(graphs.body?.weights);
  expect(cache).toEqual(Array.from({ length: 4 }, () => ({ heads: 2, width: 4 })));
});

test("a classifier has as many classes as its head, and their names", () => {
  const tensors = new Map([
    ["model.embed_tokens.weight", { shape: [16, 8], dtype: "F32" }],
    ["score.weight", { shape: [3, 8], dtype: "F32" }],
  ]);
  const config = {
    ...tiny,
    architectures: ["LlamaForSequenceClassification"],
    id2label: { 0: "a", 1: "b", 2: "c" },
  };
  const { kind, labels, graphs } = build("llama", config, { tensors });
  expect([kind, labels]).toEqual(["classifier", ["a", "b", "c"]]);
  expect(graphs.body?.weights).toContainEqual({ name: "score.weight", shape: [3, 8] });
});
