import type { ConfigReader } from "../config.js";
import type { Decoder } from "./decoder.js";
import { llama } from "./llama.js";
import { mixture } from "./mixture.js";
import { readActivation } from "./read.js";
import { readExperts } from "./read-experts.js";

/** What transformers takes where config.json does not say. */
const usual = {
  ...{ keyHeads: 8, maxTokens: 131_072, theta: 1_000_000 },
  ...{ epsilon: 1e-5, experts: 8, chosen: 2 },
} as const;

/** Mixtral (Jiang et al., 2024): Mistral with experts in place of every MLP. */
export function mixtral(config: ConfigReader): Decoder {
  const base = llama(config, usual);
  const window = config.has("sliding_window") ? config.size("sliding_window") : undefined;
  const inner = config.size("intermediate_size");
  const activation = readActivation(config, "hidden_act", "silu");
  return {
    ...base,
    family: "mixtral",
    layers: base.layers.map((layer) => ({ ...layer, window })),
    norm: { epsilon: config.number("rms_norm_eps", usual.epsilon), offset: 0 },
    mlp: mixture({
      name: "block_sparse_moe",
      ...readExperts(config, usual),
      normalizes: true,
      expert: { width: base.width, inner, activation, names: { gate: "w1", up: "w3", down: "w2" } },
    }),
  };
}
