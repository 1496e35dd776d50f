import { activationNames } from "../blocks/activation.js";
import { maxLayers } from "../config.js";
import type { EncoderFamily } from "./family.js";
import { headsOf } from "./sizes.js";

/** Sanh et al., 2019: BERT without token types and pooler, under names of its own. */
export const distilbert: EncoderFamily = {
  prefix: "distilbert.",
  layers: "transformer.layer",
  layer: {
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attentionOutput: "attention.out_lin",
    attentionNorm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    outputNorm: "output_layer_norm",
  },
  classifier: { first: { name: "pre_classifier", activation: "relu" }, last: "classifier" },
  sizes(config) {
    const width = config.size("dim");
    return {
      vocabulary: config.size("vocab_size"),
      embeddingWidth: width,
      width,
      layers: config.size("n_layers", undefined, maxLayers),
      heads: headsOf(config, "n_heads", width),
      inner: config.size("hidden_dim"),
      activation: config.word("activation", "gelu", activationNames),
      epsilon: 1e-12,
      positions: config.size("max_position_embeddings"),
      firstPosition: 0,
      tokenTypes: 0,
    };
  },
};
