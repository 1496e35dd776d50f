import type { ConfigReader } from "../config.js";
import type { Decoder } from "./decoder.js";
import { gatedMlp } from "./mlp.js";
import { type DecoderSizes, llamaNorms, readActivation, readSizes, repeated } from "./read.js";
import { readRope } from "./read-rope.js";

/**
 * Llama 1 to 3 (Touvron et al., 2023; Grattafiori et al., 2024) and what shares its architecture, such as SmolLM 2.
 * `byDefault` is what a family takes where its config does not say.
 */
export function llama(
  config: ConfigReader,
  byDefault: Partial<DecoderSizes> & { readonly theta?: number } = {},
): Decoder {
  const { heads, keyHeads, headWidth, inner, layers, ...sizes } = readSizes(config, byDefault);
  const hasBias = config.flag("attention_bias", false);
  const rope = readRope(config, { headWidth, maxTokens: sizes.maxTokens, theta: byDefault.theta });
  const activation = readActivation(config, "hidden_act", "silu");
  return {
    family: "llama",
    ...sizes,
    layers: repeated({ window: undefined, rope: rope }, layers),
    attention: {
      heads,
      keyHeads,
      headWidth,
      scale: headWidth ** -0.5,
      projections: "q_proj, k_proj, v_proj",
      bias: { input: hasBias, output: hasBias },
    },
    norm: { epsilon: config.number("rms_norm_eps", 1e-6), offset: 0 },
    norms: llamaNorms,
    mlp: gatedMlp({ width: sizes.width, inner, activation, bias: config.flag("mlp_bias", false) }),
    tied: config.flag("tie_word_embeddings", false),
  };
}
