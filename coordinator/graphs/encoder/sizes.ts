import { activationNames } from "../blocks/activation.js";
import { type ConfigReader, maxLayers } from "../config.js";
import type { EncoderSizes } from "./family.js";

/** Sizes by the keys that BERT's config.json has for them, which most families took over. */
export function bertSizes(config: ConfigReader): EncoderSizes {
  config.word("position_embedding_type", "absolute", ["absolute"]);
  if (config.flag("is_decoder", false)) throw config.fail("is_decoder", "which is not supported: only encoders are");
  const width = config.size("hidden_size");
  return {
    vocabulary: config.size("vocab_size"),
    embeddingWidth: width,
    width,
    layers: config.size("num_hidden_layers", undefined, maxLayers),
    heads: headsOf(config, "num_attention_heads", width),
    inner: config.size("intermediate_size"),
    activation: config.word("hidden_act", "gelu", activationNames),
    epsilon: config.number("layer_norm_eps", 1e-12),
    positions: config.size("max_position_embeddings"),
    firstPosition: 0,
    tokenTypes: config.size("type_vocab_size", 2),
  };
}

/** Heads that share the width evenly. */
export function headsOf(config: ConfigReader, key: string, width: number): number {
  const heads = config.size(key);
  if (width % heads !== 0) throw config.fail(key, `which does not divide the hidden size ${width}`);
  return heads;
}
