import { ConfigReader } from "../config.js";
import type { GraphFamily, GraphRequest } from "../types.js";
import { textTower } from "./clip-text.js";
import { visionTower } from "./clip-vision.js";

/**
 * CLIP (Radford et al., 2021): `text` and `image`, whose `vectors` are of the shared space, projected and not normalized.
 * A checkpoint may have one tower only, with its projection or without; what it has is built, and a tower without a
 * projection gives its pooled hidden state. `request.pooling` and `request.output` change nothing: how CLIP pools is
 * part of the model. `logit_scale` is not read.
 */
export const clip: GraphFamily = (request) => {
  const config = new ConfigReader(request.config, request.configFile);
  const type = config.word("model_type");
  const has = (prefix: string, tensor: string) => request.tensors.has(`${prefix}${tensor}`);
  const find = (tower: string, tensor: string) => [`${tower}.`, ""].find((prefix) => has(prefix, tensor));
  const textPrefix = find("text_model", "embeddings.token_embedding.weight");
  const visionPrefix = find("vision_model", "embeddings.class_embedding");
  const text =
    textPrefix === undefined ? undefined : textTower(request, towerConfig(request, type, "text"), textPrefix);
  const vision =
    visionPrefix === undefined ? undefined : visionTower(request, towerConfig(request, type, "vision"), visionPrefix);
  if (text === undefined && vision === undefined) {
    throw config.fail("model_type", "but the checkpoint has the embeddings of neither tower, text or vision");
  }
  return {
    family: type,
    kind: "image-text",
    graphs: { ...(text && { text: text.graph }), ...(vision && { image: vision.graph }) },
    maxTokens: text?.maxTokens,
    vocabulary: text?.vocabulary,
    image: vision?.image,
  };
};

/**
 * A tower's part of config.json; all of it where the file is of one tower alone. The first published checkpoints have a
 * `text_config_dict`, and it alone counts, as in transformers: what it does not say is what is usual, not what
 * `text_config` says.
 */
function towerConfig({ config, configFile }: GraphRequest, type: string, tower: "text" | "vision"): ConfigReader {
  const whole = new ConfigReader(config, configFile);
  if (type === `clip_${tower}_model`) return whole;
  const nothing = new ConfigReader({}, configFile, `${tower}_config`);
  return whole.section(`${tower}_config_dict`) ?? whole.section(`${tower}_config`) ?? nothing;
}
