import { bertLayer } from "./bert.js";
import type { EncoderFamily } from "./family.js";
import { bertSizes } from "./sizes.js";

/** Clark et al., 2020: BERT whose embeddings may be narrower than its layers. */
export const electra: EncoderFamily = {
  prefix: "electra.",
  layers: "encoder.layer",
  layer: bertLayer,
  tokenTypes: "input",
  classifier: { first: { name: "classifier.dense", activation: "gelu" }, last: "classifier.out_proj" },
  sizes(config) {
    const sizes = bertSizes(config);
    return { ...sizes, embeddingWidth: config.size("embedding_size", sizes.width) };
  },
};
