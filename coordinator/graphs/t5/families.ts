import type { GraphFamily } from "../types.js";
import { buildT5 } from "./build.js";

/** Encoders with decoders, by config.json's `model_type`. Flan-T5 is a t5. */
export const t5Families: Readonly<Record<string, GraphFamily>> = {
  t5: (request) => buildT5(request, { name: "t5", feedForward: "relu", isScaled: true }),
  // Xue et al., 2021: T5 1.1 in many languages; its states are never scaled.
  mt5: (request) => buildT5(request, { name: "mt5", feedForward: "gated-gelu", isScaled: false }),
};
