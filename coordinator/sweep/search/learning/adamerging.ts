import { entropy } from "../../losses/entropy.js";
import type { SearchKind } from "../searching.js";
import { startIn } from "./box.js";
import { optimizerOptions } from "./learn.js";
import { learnCoefficients } from "./learn-coefficients.js";
import { startNeeds, startOptions } from "./starts.js";

/**
 * Coefficients that make predictions sure, learnt from examples without labels. They begin at the dimensions' starts (0.3
 * in the paper) and are clamped to their ranges. The paper takes 500 steps of Adam on small batches; here a step looks at
 * all examples, so tangents or a few Adam steps do.
 */
export const adamerging: SearchKind = {
  name: "adamerging",
  summary: "AdaMerging: coefficients by minimal entropy of unlabelled examples (Yang et al., ICLR 2024)",
  options: { ...optimizerOptions, ...startOptions },
  answers: true,
  ...startNeeds,
  search: (context, options) => learnCoefficients(context, options, { loss: entropy, start: startIn(context.space) }),
};
