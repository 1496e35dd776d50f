import type { ConfigReader } from "../config.js";
import type { Decoder, Mlp } from "./decoder.js";
import { llama } from "./llama.js";
import { mixture } from "./mixture.js";
import { gatedMlp } from "./mlp.js";
import { withWindows } from "./qwen.js";
import { readActivation } from "./read.js";
import { readExperts } from "./read-experts.js";

/** What transformers takes where config.json does not say. */
const usual2 = { keyHeads: 16, maxTokens: 32_768, experts: 60, chosen: 4, inner: 1_408, shared: 5_632 } as const;
const usual3 = { keyHeads: 4, maxTokens: 32_768, experts: 128, chosen: 8, inner: 768 } as const;

/** Qwen 1.5 and 2 with experts (Yang et al., 2024): Qwen 2 with experts, one of them shared, in some of its layers. */
export function qwen2Moe(config: ConfigReader): Decoder {
  const base = llama(config, usual2);
  const expert = { width: base.width, activation: readActivation(config, "hidden_act", "silu") };
  const sparse = mixture({
    name: "mlp",
    ...readExperts(config, usual2),
    normalizes: config.flag("norm_topk_prob", false),
    expert: { ...expert, inner: config.size("moe_intermediate_size", usual2.inner) },
    shared: { ...expert, inner: config.size("shared_expert_intermediate_size", usual2.shared) },
  });
  return {
    ...base,
    family: "qwen2_moe",
    layers: withWindows(config, base.layers, (layer, first) => layer % 2 === 0 && layer < first),
    attention: { ...base.attention, bias: { input: config.flag("qkv_bias", true), output: false } },
    mlp: sparseOrDense(config, sparse, gatedMlp({ ...expert, inner: config.size("intermediate_size") })),
  };
}

/** Qwen 3 with experts (Yang et al., 2025): none of them is shared, and if there is a window, all layers have it. */
export function qwen3Moe(config: ConfigReader): Decoder {
  const base = llama(config, usual3);
  const expert = { width: base.width, activation: readActivation(config, "hidden_act", "silu") };
  const sparse = mixture({
    name: "mlp",
    ...readExperts(config, usual3),
    normalizes: config.flag("norm_topk_prob", false),
    expert: { ...expert, inner: config.size("moe_intermediate_size", usual3.inner) },
  });
  const slides = config.flag("use_sliding_window", false) && !config.isNull("sliding_window");
  const window = slides ? config.size("sliding_window", 4_096) : undefined;
  return {
    ...base,
    family: "qwen3_moe",
    layers: base.layers.map((layer) => ({ ...layer, window })),
    attention: { ...base.attention, normsHeads: true },
    mlp: sparseOrDense(config, sparse, gatedMlp({ ...expert, inner: config.size("intermediate_size") })),
  };
}

/** Experts in every `decoder_sparse_step`-th layer that is not in `mlp_only_layers`, a plain MLP in all others. */
function sparseOrDense(config: ConfigReader, sparse: Mlp, dense: Mlp): Mlp {
  const step = config.size("decoder_sparse_step", 1);
  const plain = new Set(config.has("mlp_only_layers") ? config.numbers("mlp_only_layers") : []);
  return (g, x, layer, number) => {
    const isSparse = (number + 1) % step === 0 && !plain.has(number);
    return (isSparse ? sparse : dense)(g, x, layer, number);
  };
}
