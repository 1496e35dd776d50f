import type { EncoderFamily } from "./family.js";
import { roberta } from "./roberta.js";
import { bertSizes } from "./sizes.js";

/** The model's code has them fixed. */
const buckets = 32;

/** Song et al., 2020: RoBERTa with a relative bias, and without token types. */
export const mpnet: EncoderFamily = {
  prefix: "mpnet.",
  layers: "encoder.layer",
  layer: {
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    attentionOutput: "attention.attn.o",
    attentionNorm: "attention.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    outputNorm: "output.LayerNorm",
  },
  pooler: "pooler.dense",
  classifier: roberta.classifier,
  relativeBias: { name: "encoder.relative_attention_bias.weight", buckets },
  sizes(config) {
    if (config.size("relative_attention_num_buckets", buckets) !== buckets) {
      throw config.fail("relative_attention_num_buckets", `which is not supported, only ${buckets} is`);
    }
    // Its padding token is number 1 whatever the config says.
    return { ...bertSizes(config), firstPosition: 2 };
  },
};
