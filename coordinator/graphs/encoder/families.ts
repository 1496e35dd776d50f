import type { GraphFamily } from "../types.js";
import { bert } from "./bert.js";
import { buildEncoder } from "./build.js";
import { distilbert } from "./distilbert.js";
import { electra } from "./electra.js";
import type { EncoderFamily } from "./family.js";
import { mpnet } from "./mpnet.js";
import { roberta } from "./roberta.js";

const families: Readonly<Record<string, EncoderFamily>> = {
  bert,
  roberta,
  "xlm-roberta": roberta,
  camembert: roberta,
  distilbert,
  electra,
  mpnet,
};

/** The encoders of text, by config.json's `model_type`. */
export const encoderFamilies: Readonly<Record<string, GraphFamily>> = Object.fromEntries(
  Object.entries(families).map(([name, family]) => [name, (request) => buildEncoder(request, name, family)]),
);
