import type { SearchKind } from "../searching.js";
import { adamerging } from "./adamerging.js";
import { atlas } from "./atlas.js";
import { expertMerging } from "./expert-merging.js";
import { gradient } from "./gradient.js";
import { layerRegression } from "./layer-regression.js";
import { selfPositioning } from "./self-positioning.js";
import { spsa } from "./spsa.js";

/** Searches that learn coefficients by gradients that forward passes give. */
export const learning: readonly SearchKind[] = [
  adamerging,
  atlas,
  expertMerging,
  layerRegression,
  selfPositioning,
  gradient,
  spsa,
];
