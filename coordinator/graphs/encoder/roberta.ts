import { bertLayer } from "./bert.js";
import type { EncoderFamily } from "./family.js";
import { bertSizes } from "./sizes.js";

/** Liu et al., 2019; XLM-R (Conneau et al., 2020) and CamemBERT are the same with other vocabularies. */
export const roberta: EncoderFamily = {
  prefix: "roberta.",
  layers: "encoder.layer",
  layer: bertLayer,
  tokenTypes: "none",
  pooler: "pooler.dense",
  classifier: { first: { name: "classifier.dense", activation: "tanh" }, last: "classifier.out_proj" },
  sizes(config) {
    // fairseq's numbering: padding has the row of its token's number, and tokens begin at the next.
    const firstPosition = config.count("pad_token_id", 1) + 1;
    const sizes = bertSizes(config);
    if (firstPosition >= sizes.positions) {
      throw config.fail("pad_token_id", `which leaves no room among ${sizes.positions} positions`);
    }
    return { ...sizes, firstPosition };
  },
};
