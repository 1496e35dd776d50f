import type { ConfigReader } from "../config.js";
import type { Decoder } from "./decoder.js";
import { packedGatedMlp } from "./mlp.js";
import { llamaNorms, readActivation, readSizes, repeated } from "./read.js";
import { readRope } from "./read-rope.js";

/** Early configs call LongRoPE so. */
const aliases = { su: "longrope", yarn: "longrope" } as const;

/** Phi 3 and 3.5 (Abdin et al., 2024): Llama with packed projections, LongRoPE, and heads that may be rotated in part. */
export function phi3(config: ConfigReader): Decoder {
  const { heads, keyHeads, headWidth, inner, layers, ...sizes } = readSizes(config, { maxTokens: 4_096 });
  const { maxTokens } = sizes;
  const window = config.has("sliding_window") ? config.size("sliding_window") : undefined;
  const activation = readActivation(config, "hidden_act", "silu");
  return {
    family: "phi3",
    ...sizes,
    layers: repeated({ window, rope: readRope(config, { headWidth, maxTokens, aliases }) }, layers),
    attention: {
      heads,
      keyHeads,
      headWidth,
      scale: headWidth ** -0.5,
      projections: "qkv_proj",
      bias: { input: false, output: false },
    },
    norm: { epsilon: config.number("rms_norm_eps", 1e-5), offset: 0 },
    norms: llamaNorms,
    mlp: packedGatedMlp({ width: sizes.width, inner, activation }),
    tied: config.flag("tie_word_embeddings", false),
  };
}
