import type { EncoderFamily, LayerNames } from "./family.js";
import { bertSizes } from "./sizes.js";

export const bertLayer: LayerNames = {
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  attentionOutput: "attention.output.dense",
  attentionNorm: "attention.output.LayerNorm",
  up: "intermediate.dense",
  down: "output.dense",
  outputNorm: "output.LayerNorm",
};

/** Devlin et al., 2019. Also what MiniLM and most sentence embedders are. */
export const bert: EncoderFamily = {
  prefix: "bert.",
  layers: "encoder.layer",
  layer: bertLayer,
  tokenTypes: "input",
  pooler: "pooler.dense",
  classifier: { first: { name: "pooler.dense", activation: "tanh", isPooler: true }, last: "classifier" },
  sizes: bertSizes,
};
