import { quoteList } from "../../../../shared/quote.js";
import type { OptionSpec, OptionValues, SearchContext, SearchKind } from "../searching.js";
import { evaluate } from "../searching.js";
import { startPoint } from "../../space.js";
import { notContinuous, pointAt } from "./box.js";
import { regressLayers } from "./regress-layers.js";

/** How many of each task's examples its expert is run on, and how strongly coefficients are drawn to their starts. */
export const regressionOptions = {
  examples: { kind: "integer", default: 8, low: 1, high: 1000 },
  gamma: { kind: "number", default: 0.01, low: 0, high: 1e6 },
} satisfies Record<string, OptionSpec>;

/**
 * Coefficients for which every linear layer of the merge gives what each expert's layer gives on the inputs of its own
 * task, in closed form. One pass of each expert over a few examples without labels decides them all; then the merge is
 * evaluated, beside the one that the recipe starts from. A dimension for each tensor (`groups: tensor`) solves each
 * layer by itself, other groups of layers are solved together.
 */
export const layerRegression: SearchKind = {
  name: "layer-regression",
  summary: "Coefficients that reproduce the experts' layers on their own inputs, in closed form (RegMean's problem)",
  options: regressionOptions,
  layers: () => true,
  refuses: ({ space, experts }) => notRegressable(space, experts),
  *search(context, options) {
    const point = regressedPoint(context, options);
    yield* evaluate([
      { point, label: "regression" },
      { point: startPoint(context.space), label: "start" },
    ]);
    return { best: point, facts: { coefficients: point } };
  },
};

/** Where the inputs of layers say to stand. */
export function regressed({ space, layers, note }: SearchContext, gamma: number): Float64Array {
  const { models = [], tensors = [] } = layers ?? {};
  const seen = new Set(tensors.flatMap(({ moments }) => moments.map(({ expert }) => expert)));
  const unseen = models.filter((_, model) => !seen.has(model));
  if (unseen.length > 0) note(`No task has these experts, whose layers are not reproduced: ${quoteList(unseen)}`);
  return regressLayers(space, { models, tensors }, gamma);
}

function regressedPoint(context: SearchContext, options: OptionValues) {
  return pointAt(context.space, regressed(context, Number(options["gamma"])));
}

export function notRegressable(
  space: SearchContext["space"],
  experts: SearchContext["experts"],
): string | undefined {
  if (experts.size === 0) return 'no task has an expert: name them in "tasks: {experts: …}"';
  return notContinuous(space);
}
