import type { JsonValue } from "../../shared/checkpoint/json-value.js";

/** The matrices of a gated feed-forward layer, as dense models call them. */
export const feedForward = ["gate_proj", "up_proj", "down_proj"] as const;
export type FeedForward = (typeof feedForward)[number];

export interface MoeNumbers {
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly sharedExperts: number;
  /** Width of one expert. */
  readonly intermediate: number;
}

/** How an architecture's checkpoints are published: one tensor per matrix of every expert. */
export interface MoeLayout {
  /** mergekit's, which a config's `architecture` is compared with. */
  readonly name: string;
  /** `model_type` of the dense models that it can be made from. */
  readonly sources: readonly string[];
  /** How many shared experts it has, and whether a gate of their own weighs them. */
  readonly shared: { readonly min: number; readonly max: number; readonly isGated: boolean };
  /** What a layer may have besides its feed-forward part. */
  readonly layerTensors: ReadonlySet<string>;
  /** Biases that it cannot do without, by the matrix they belong to. Models that have none get zeros. */
  readonly requiredBiases: readonly string[];
  /** Names within a layer. */
  readonly router: string;
  readonly expert: (expert: number, matrix: FeedForward) => string;
  readonly sharedExpert: (matrix: FeedForward) => string;
  readonly sharedGate: string | undefined;
  /** What its config.json says besides what the dense model's does. */
  readonly settings: (numbers: MoeNumbers) => Readonly<Record<string, JsonValue>>;
}

const noShared = { min: 0, max: 0, isGated: false };
const norms = ["input_layernorm.weight", "post_attention_layernorm.weight"];
const projections = ["q_proj", "k_proj", "v_proj", "o_proj"].map((name) => `self_attn.${name}`);
const weights = projections.map((name) => `${name}.weight`);
const biases = projections.map((name) => `${name}.bias`);

/** Names of w1, w2 and w3 as in the Mixtral 8x7B release. */
const mixtralNames: Readonly<Record<FeedForward, string>> = { gate_proj: "w1", down_proj: "w2", up_proj: "w3" };

const mixtral: MoeLayout = {
  name: "Mixtral",
  sources: ["llama", "mistral"],
  shared: noShared,
  layerTensors: new Set([...norms, ...weights]),
  requiredBiases: [],
  router: "block_sparse_moe.gate.weight",
  expert: (expert, matrix) => `block_sparse_moe.experts.${expert}.${mixtralNames[matrix]}.weight`,
  sharedExpert: (matrix) => `block_sparse_moe.shared_expert.${matrix}.weight`,
  sharedGate: undefined,
  settings: ({ experts, expertsPerToken }) => ({
    architectures: ["MixtralForCausalLM"],
    model_type: "mixtral",
    num_local_experts: experts,
    num_experts_per_tok: expertsPerToken,
    sliding_window: null,
  }),
};

const deepseekCode = "deepseek-ai/deepseek-moe-16b-base--";

/** DeepSeekMoE 16B; transformers runs it with its authors' code, which is named in the config. */
const deepseek: MoeLayout = {
  name: "DeepSeek MoE",
  sources: ["llama", "mistral"],
  shared: { min: 0, max: 1, isGated: false },
  layerTensors: new Set([...norms, ...weights, ...biases]),
  requiredBiases: [],
  router: "mlp.gate.weight",
  expert: (expert, matrix) => `mlp.experts.${expert}.${matrix}.weight`,
  sharedExpert: (matrix) => `mlp.shared_experts.${matrix}.weight`,
  sharedGate: undefined,
  settings: ({ experts, expertsPerToken, sharedExperts, intermediate }) => ({
    architectures: ["DeepseekForCausalLM"],
    model_type: "deepseek",
    n_routed_experts: experts,
    n_shared_experts: sharedExperts === 0 ? null : sharedExperts,
    num_experts_per_tok: expertsPerToken,
    first_k_dense_replace: 0,
    moe_layer_freq: 1,
    scoring_func: "softmax",
    norm_topk_prob: true,
    moe_intermediate_size: intermediate,
    auto_map: {
      AutoConfig: `${deepseekCode}configuration_deepseek.DeepseekConfig`,
      AutoModel: `${deepseekCode}modeling_deepseek.DeepseekModel`,
      AutoModelForCausalLM: `${deepseekCode}modeling_deepseek.DeepseekForCausalLM`,
    },
  }),
};

const qwen2: MoeLayout = {
  name: "Qwen MoE",
  sources: ["llama", "mistral", "qwen2"],
  shared: { min: 1, max: 1, isGated: true },
  layerTensors: new Set([...norms, ...weights, ...biases.slice(0, 3)]),
  requiredBiases: projections.slice(0, 3),
  router: "mlp.gate.weight",
  expert: (expert, matrix) => `mlp.experts.${expert}.${matrix}.weight`,
  sharedExpert: (matrix) => `mlp.shared_expert.${matrix}.weight`,
  sharedGate: "mlp.shared_expert_gate.weight",
  settings: ({ experts, expertsPerToken, intermediate }) => ({
    architectures: ["Qwen2MoeForCausalLM"],
    model_type: "qwen2_moe",
    num_experts: experts,
    num_experts_per_tok: expertsPerToken,
    decoder_sparse_step: 1,
    mlp_only_layers: [],
    norm_topk_prob: true,
    moe_intermediate_size: intermediate,
    shared_expert_intermediate_size: intermediate,
    sliding_window: null,
    use_sliding_window: false,
  }),
};

const qwen3: MoeLayout = {
  name: "Qwen3 MoE",
  sources: ["qwen3"],
  shared: noShared,
  layerTensors: new Set([...norms, ...weights, ...biases, "self_attn.q_norm.weight", "self_attn.k_norm.weight"]),
  requiredBiases: [],
  router: "mlp.gate.weight",
  expert: (expert, matrix) => `mlp.experts.${expert}.${matrix}.weight`,
  sharedExpert: (matrix) => `mlp.shared_expert.${matrix}.weight`,
  sharedGate: undefined,
  settings: ({ experts, expertsPerToken, intermediate }) => ({
    architectures: ["Qwen3MoeForCausalLM"],
    model_type: "qwen3_moe",
    num_experts: experts,
    num_experts_per_tok: expertsPerToken,
    decoder_sparse_step: 1,
    mlp_only_layers: [],
    norm_topk_prob: true,
    moe_intermediate_size: intermediate,
  }),
};

/** In the order in which mergekit tries them. */
export const moeLayouts: readonly MoeLayout[] = [mixtral, deepseek, qwen2, qwen3];
