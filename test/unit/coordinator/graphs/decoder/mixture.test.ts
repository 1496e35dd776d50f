import { expect, test } from "vitest";
import { decoderFamilies } from "../../../../../coordinator/graphs/decoder/families.js";
import type { ModelGraphs } from "../../../../../coordinator/graphs/types.js";
import { maxMessageBytes } from "../../../../../shared/rpc/channel.js";

/** A config that every family of mixtures can read. */
const tiny = {
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 12,
  moe_intermediate_size: 6,
  shared_expert_intermediate_size: 10,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  num_local_experts: 3,
  num_experts_per_tok: 2,
  tie_word_embeddings: true,
};

function build(family: string, config: object, generates = false): ModelGraphs {
  const tensors = new Map([["model.embed_tokens.weight", { shape: [16, 8], dtype: "F32" }]]);
  const graphs = decoderFamilies[family]?.({ config, tensors, configFile: "config.json", generates });
  if (graphs === undefined) throw new Error(`There is no family ${family}`);
  return graphs;
}

function weightsOf({ graphs }: ModelGraphs, prefix: string): readonly (readonly [string, readonly number[]])[] {
  const weights = graphs.body?.weights ?? [];
  return weights
    .filter(({ name }) => name.startsWith(prefix))
    .map(({ name, shape }) => [name.slice(prefix.length), shape] as const);
}

test.each<[string, string, object, string]>([
  [
    "more experts to choose than there are",
    "mixtral",
    { ...tiny, num_experts_per_tok: 4 },
    '"num_experts_per_tok" is 4, of only 3 experts',
  ],
  [
    "more experts than a graph can hold",
    "qwen3_moe",
    { ...tiny, num_experts: 10_000 },
    '"num_experts" is 10000, the limit is 4,096',
  ],
  [
    "experts in every zeroth layer",
    "qwen2_moe",
    { ...tiny, decoder_sparse_step: 0 },
    '"decoder_sparse_step" is 0, expected a whole number above 0',
  ],
])("%s are refused", (_, family, config, problem) => {
  const message = `Cannot build a graph from "config.json": ${problem}`;
  expect(() => build(family, config)).toThrow(expect.objectContaining({ code: "checkpoint_mismatch", message }));
});

test("an expert of Mixtral has the width of the MLP, and names of its own", () => {
  const weights = weightsOf(build("mixtral", tiny), "model.layers.1.block_sparse_moe.");
  expect(weights).toHaveLength(1 + 3 * 3);
  expect(weights.slice(0, 4)).toEqual([
    ["gate.weight", [3, 8]],
    ["experts.0.w1.weight", [12, 8]],
    ["experts.0.w3.weight", [12, 8]],
    ["experts.0.w2.weight", [8, 12]],
  ]);
});

test("Qwen's second generation has a shared expert, and its third has none", () => {
  const shared = (family: string) => weightsOf(build(family, tiny), "model.layers.0.mlp.shared_expert");
  expect(shared("qwen3_moe")).toEqual([]);
  expect(shared("qwen2_moe")).toEqual([
    ["_gate.weight", [1, 8]],
    [".gate_proj.weight", [10, 8]],
    [".up_proj.weight", [10, 8]],
    [".down_proj.weight", [8, 10]],
  ]);
});

test("layers without experts have an MLP", () => {
  const config = { ...tiny, num_hidden_layers: 4, decoder_sparse_step: 2, mlp_only_layers: [3] };
  const graphs = build("qwen3_moe", config);
  const hasExperts = (layer: number) => weightsOf(graphs, `model.layers.${layer}.mlp.experts.`).length > 0;
  expect([0, 1, 2, 3].map(hasExperts)).toEqual([false, true, false, false]);
  expect(weightsOf(graphs, "model.layers.3.mlp.")[0]).toEqual(["gate_proj.weight", [12, 8]]);
});

/** Qwen3-30B-A3B, as its config.json has it where the size of a graph depends on it. */
const large = {
  ...tiny,
  num_hidden_layers: 48,
  num_experts: 128,
  num_experts_per_tok: 8,
  norm_topk_prob: true,
};

test("all graphs of a model of 48 layers with 128 experts fit one message", () => {
  const { body, head, step } = build("qwen3_moe", large, true).graphs;
  const bytes = [body, head, step].map((graph) => graph?.model.length ?? Number.NaN);
  expect(bytes.reduce((sum, size) => sum + size)).toBeLessThan(maxMessageBytes);
});
