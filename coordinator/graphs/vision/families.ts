import type { GraphFamily } from "../types.js";
import { clip } from "./clip.js";
import { deit, vit } from "./vit.js";

/** The models that see images, by config.json's `model_type`. */
export const visionFamilies: Readonly<Record<string, GraphFamily>> = {
  vit,
  deit,
  clip,
  clip_vision_model: clip,
  clip_text_model: clip,
};
