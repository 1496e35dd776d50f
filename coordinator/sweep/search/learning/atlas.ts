import { crossEntropy } from "../../losses/cross-entropy.js";
import type { SearchKind } from "../searching.js";
import { optimizerOptions } from "./learn.js";
import { learnCoefficients } from "./learn-coefficients.js";
import { none, normOfGroups } from "./regulariser.js";
import { startNeeds, startOptions } from "./starts.js";

/**
 * Coefficients by a few labelled examples. They begin at 0, the base, whatever the dimensions' starts are; 0 counts as the
 * nearest number of the range. `gamma` times the mean over groups of layers of the 1- or 2-norm keeps them small (0.5 in
 * the authors' code where they regularise).
 */
export const atlas: SearchKind = {
  name: "atlas",
  summary: "aTLAS: anisotropic coefficients by labelled examples, from 0 (Zhang et al., NeurIPS 2024)",
  options: {
    ...optimizerOptions,
    ...startOptions,
    gamma: { kind: "number", default: 0, low: 0, high: 1e6 },
    norm: { kind: "choice", default: "1", values: ["1", "2"] },
  },
  answers: true,
  ...startNeeds,
  search: (context, options) => {
    const gamma = Number(options["gamma"]);
    return learnCoefficients(context, options, {
      loss: crossEntropy,
      start: new Float64Array(context.space.length),
      regulariser: gamma === 0 ? none : normOfGroups(context.space, options["norm"] === "2" ? 2 : 1, gamma),
    });
  },
};
