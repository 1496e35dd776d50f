import { bertLayer } from "./bert.js";
import type { EncoderFamily } from "./family.js";
import { bertSizes } from "./sizes.js";

/** What transformers takes where config.json does not say. */
const usualEmbeddingWidth = 128;

/** Clark et al., 2020: BERT whose embeddings may be narrower than its layers. */
export const electra: EncoderFamily = {
  prefix: "electra.",
  layers: "encoder.layer",
  layer: bertLayer,
  tokenTypes: "input",
  classifier: { first: { name: "classifier.dense", activation: "gelu" }, last: "classifier.out_proj" },
  sizes(config) {
    return { ...bertSizes(config), embeddingWidth: config.size("embedding_size", usualEmbeddingWidth) };
  },
};
