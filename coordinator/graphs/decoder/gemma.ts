import type { ConfigReader } from "../config.js";
import type { Decoder } from "./decoder.js";
import { gatedMlp } from "./mlp.js";
import {
  type DecoderSizes,
  llamaNorms,
  readActivation,
  readLayerTypes,
  readSizes,
  repeated,
  sandwichNorms,
} from "./read.js";
import { readRope } from "./read-rope.js";

/** What transformers takes where config.json does not say. */
const usual = { queryScalar: 256, window: 4_096, activation: "gelu_pytorch_tanh" } as const;
const gemmaSizes = { headWidth: 256, keyHeads: 16, maxTokens: 8_192 } as const;
const gemma2Sizes = { ...gemmaSizes, heads: 8, keyHeads: 4 } as const;
/** Of the text part, of which published configs say no more than what differs. */
const gemma3Sizes = {
  ...gemma2Sizes,
  ...{ vocabulary: 262_208, width: 2_304, inner: 9_216, layers: 26, maxTokens: 131_072 },
} as const;

/** Gemma (Mesnard et al., 2024): Llama with scaled embeddings, tied heads, and weights of norms stored less one. */
export function gemma(config: ConfigReader, byDefault: Partial<DecoderSizes> = gemmaSizes): Decoder {
  const { heads, keyHeads, headWidth, inner, layers, ...sizes } = readSizes(config, byDefault);
  const hasBias = config.flag("attention_bias", false);
  // Early configs say "gelu" and mean its tanh form.
  const stated = readActivation(config, "hidden_act", usual.activation);
  const activation = stated === "gelu" ? usual.activation : stated;
  return {
    family: "gemma",
    ...sizes,
    layers: repeated({ window: undefined, rope: readRope(config, { headWidth, maxTokens: sizes.maxTokens }) }, layers),
    attention: {
      heads,
      keyHeads,
      headWidth,
      scale: headWidth ** -0.5,
      projections: "q_proj, k_proj, v_proj",
      bias: { input: hasBias, output: hasBias },
    },
    norm: { epsilon: config.number("rms_norm_eps", 1e-6), offset: 1 },
    norms: llamaNorms,
    mlp: gatedMlp({ width: sizes.width, inner, activation }),
    embeddingScale: Math.sqrt(sizes.width),
    tied: config.flag("tie_word_embeddings", true),
  };
}

/** Gemma 2 (Riviere et al., 2024): norms around attention and MLP, soft caps, and a window in every other layer. */
export function gemma2(config: ConfigReader, byDefault: Partial<DecoderSizes> = gemma2Sizes): Decoder {
  const base = gemma(config, byDefault);
  const window = config.size("sliding_window", usual.window);
  const types = readLayerTypes(config, base.layers.length, (layer) => layer % 2 === 0);
  const activation = readActivation(config, "hidden_activation", usual.activation);
  return {
    ...base,
    family: "gemma2",
    layers: base.layers.map((layer, i) => (types[i] === "sliding_attention" ? { ...layer, window } : layer)),
    attention: {
      ...base.attention,
      scale: config.size("query_pre_attn_scalar", usual.queryScalar) ** -0.5,
      softcap: softcap(config, "attn_logit_softcapping", 50),
    },
    norms: sandwichNorms,
    mlp: gatedMlp({ width: base.width, inner: config.size("intermediate_size", byDefault.inner), activation }),
    logitSoftcap: softcap(config, "final_logit_softcapping", 30),
  };
}

/**
 * The text part of Gemma 3 (Kamath et al., 2025): Gemma 2 with norms of queries and keys in place of soft caps, five
 * layers with a window to each without, and a RoPE of its own for either kind.
 */
export function gemma3(config: ConfigReader): Decoder {
  const base = gemma2(config, gemma3Sizes);
  const { maxTokens, attention } = base;
  const ofHeads = { headWidth: attention.headWidth, maxTokens };
  const period = config.size("sliding_window_pattern", 6);
  const types = readLayerTypes(config, base.layers.length, (layer) => (layer + 1) % period !== 0);
  const full = {
    window: undefined,
    rope: readRope(config, { ...ofHeads, layerType: "full_attention", theta: 1_000_000 }),
  };
  const sliding = {
    window: config.size("sliding_window", usual.window),
    rope: readRope(config, {
      ...ofHeads,
      layerType: "sliding_attention",
      thetaKey: "rope_local_base_freq",
      isScaled: false,
    }),
  };
  return {
    ...base,
    family: "gemma3_text",
    layers: types.map((type) => (type === "sliding_attention" ? sliding : full)),
    attention: { ...attention, softcap: 0, normsHeads: true },
    logitSoftcap: softcap(config, "final_logit_softcapping", 0),
  };
}

/** `null` is for none, which is not the same as not being mentioned. */
function softcap(config: ConfigReader, key: string, byDefault: number): number {
  return config.isNull(key) ? 0 : config.number(key, byDefault);
}
