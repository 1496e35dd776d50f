import { activationNames } from "../blocks/activation.js";
import { type ConfigReader, maxLayers } from "../config.js";
import type { Decoder } from "./decoder.js";

/** The sizes that every family of decoders has, under the same keys. */
export interface DecoderSizes {
  readonly vocabulary: number;
  readonly width: number;
  /** Of the MLP. */
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
  readonly maxTokens: number;
}

/**
 * `byDefault` is what transformers takes for the family where config.json does not say: it writes no more than what
 * differs into a config inside another one. Without a default, a head's width is width / heads, and keys have as many
 * heads as queries, which is what `null` means to all.
 */
export function readSizes(config: ConfigReader, byDefault: Partial<DecoderSizes> = {}): DecoderSizes {
  const width = config.size("hidden_size", byDefault.width);
  const heads = config.size("num_attention_heads", byDefault.heads);
  const usualKeyHeads = config.isNull("num_key_value_heads") ? undefined : byDefault.keyHeads;
  const keyHeads = config.size("num_key_value_heads", usualKeyHeads ?? heads);
  if (heads % keyHeads !== 0) {
    throw config.fail("num_key_value_heads", `which does not divide "num_attention_heads", ${heads}`);
  }
  const headWidth = config.size("head_dim", byDefault.headWidth ?? Math.floor(width / heads));
  return {
    vocabulary: config.size("vocab_size", byDefault.vocabulary),
    width,
    inner: config.size("intermediate_size", byDefault.inner),
    layers: config.size("num_hidden_layers", byDefault.layers, maxLayers),
    heads,
    keyHeads,
    headWidth,
    maxTokens: config.size("max_position_embeddings", byDefault.maxTokens ?? 2_048),
  };
}

export function readActivation(config: ConfigReader, key: string, byDefault: string): string {
  return config.word(key, byDefault, activationNames);
}

/** `pattern` says which layers slide where config.json has no `layer_types`. */
export function readLayerTypes(config: ConfigReader, layers: number, pattern: (layer: number) => boolean): LayerType[] {
  if (!config.has("layer_types")) {
    return Array.from({ length: layers }, (_, i) => (pattern(i) ? "sliding_attention" : "full_attention"));
  }
  return config.words("layer_types", layers).map((type) => {
    if (type === "full_attention" || type === "sliding_attention") return type;
    throw config.fail("layer_types", `only "full_attention" and "sliding_attention" are supported`);
  });
}

export type LayerType = "full_attention" | "sliding_attention";

/** Refuses models that see what comes after a token, which embedding models made of decoders may. */
export function assertCausal(config: ConfigReader): void {
  const problem = "only models that see no later tokens are supported";
  if (config.flag("use_bidirectional_attention", false)) throw config.fail("use_bidirectional_attention", problem);
  if (!config.flag("is_causal", true)) throw config.fail("is_causal", problem);
}

/** The norms of a layer as Llama names them. */
export const llamaNorms = {
  beforeAttention: "input_layernorm",
  beforeMlp: "post_attention_layernorm",
} satisfies Decoder["norms"];

/** The norms of a layer as Gemma 2 and 3 have them, around attention and MLP. */
export const sandwichNorms = {
  beforeAttention: "input_layernorm",
  afterAttention: "post_attention_layernorm",
  beforeMlp: "pre_feedforward_layernorm",
  afterMlp: "post_feedforward_layernorm",
} satisfies Decoder["norms"];

/** The same layer, so many times. */
export function repeated<Layer>(layer: Layer, layers: number): Layer[] {
  return Array.from({ length: layers }, () => layer);
}
