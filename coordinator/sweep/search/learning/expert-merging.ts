import { distillation } from "../../losses/distillation.js";
import type { SearchKind } from "../searching.js";
import { boxOf, intoBox } from "./box.js";
import { notRegressable } from "./layer-regression.js";
import { optimizerOptions } from "./learn.js";
import { learnCoefficients } from "./learn-coefficients.js";
import { distanceFrom } from "./regulariser.js";
import { startNeeds, startOptions } from "./starts.js";

/** Where coefficients begin in the paper. */
const initial = 0.1;

/**
 * Coefficients that make the merged model answer as each task's expert does, a handful of unlabelled examples each. They
 * begin at 0.1; where the authors keep them in [0, 1] by a sigmoid, the recipe's ranges do here. `gamma` times their mean
 * distance from 0.1 is added. It is 5 in the authors' code beside losses of hidden states that are added over layers; for
 * the loss of answers alone, a weak pull is the default.
 */
export const expertMerging: SearchKind = {
  name: "expert-merging",
  summary: "Expert Merging: coefficients that reproduce the experts' answers (Zhang et al. 2025)",
  options: { ...optimizerOptions, ...startOptions, gamma: { kind: "number", default: 0.01, low: 0, high: 1e6 } },
  answers: true,
  layers: startNeeds.layers,
  refuses: ({ space, experts }) => notRegressable(space, experts),
  search: (context, options) => {
    const start = intoBox(boxOf(context.space), new Float64Array(context.space.length).fill(initial));
    const regulariser = distanceFrom(start, Number(options["gamma"]));
    return learnCoefficients(context, options, { loss: distillation, start, regulariser });
  },
};
