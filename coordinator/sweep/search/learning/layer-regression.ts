import { quoteList } from "../../../../shared/quote.js";
import { startPoint } from "../../space.js";
import { evaluate, type OptionSpec, type SearchContext, type SearchKind } from "../searching.js";
import { boxOf, intoBox, notContinuous, pointAt } from "./box.js";
import { regressLayers } from "./regress-layers.js";

/**
 * How many of each task's examples its expert is run on, how strongly coefficients are drawn to their starts, and how many
 * multiples of them are evaluated.
 */
export const regressionOptions = {
  examples: { kind: "integer", default: 8, low: 1, high: 1000 },
  gamma: { kind: "number", default: 0.01, low: 0, high: 1e6 },
  multiples: { kind: "integer", default: 5, low: 1, high: 100 },
} satisfies Record<string, OptionSpec>;

/**
 * Coefficients for which every linear layer of the merge gives what each expert's layer gives on the inputs of its own
 * task, in closed form: one pass of each expert over a few examples without labels decides them all. A dimension for each
 * tensor (`groups: tensor`) solves each layer by itself, other groups of layers are solved together.
 *
 * What layers give is not what answers need: of K experts whose changes have nothing to do with each other, least squares
 * takes about 1 / K each, a mean. So multiples of the coefficients up to K are evaluated too, beside the recipe's start;
 * `multiples: 1` evaluates the regression alone.
 */
export const layerRegression: SearchKind = {
  name: "layer-regression",
  summary:
    "Coefficients that reproduce the experts' layers on their own inputs, in closed form (as RegMean, ICLR 2023)",
  options: regressionOptions,
  layers: () => true,
  refuses: ({ space, experts }) => notRegressable(space, experts),
  *search(context, options) {
    const { space } = context;
    const [gamma, count] = [Number(options["gamma"]), Number(options["multiples"])];
    const multiples = regressedMultiples(context, { gamma, count });
    yield* evaluate([
      ...multiples.map(({ x, label }) => ({ point: pointAt(space, x), label })),
      { point: startPoint(space), label: "start" },
    ]);
    const [first] = multiples;
    return first === undefined ? undefined : { facts: { regression: pointAt(space, first.x) } };
  },
};

/** What the inputs of layers say, times 1 to the number of experts in equal ratios, within the ranges. */
export function regressedMultiples(
  { space, layers, note }: Pick<SearchContext, "space" | "layers" | "note">,
  { gamma, count }: { readonly gamma: number; readonly count: number },
): readonly { readonly x: Float64Array; readonly label: string }[] {
  const { models, tensors } = layers ?? { models: [], tensors: [] };
  const seen = new Set(tensors.flatMap(({ moments }) => moments.map(({ expert }) => expert)));
  const unseen = models.filter((_, model) => !seen.has(model));
  if (unseen.length > 0) note(`No task has these experts, whose layers are not reproduced: ${quoteList(unseen)}`);
  const x = regressLayers(space, { models, tensors }, gamma);
  const most = Math.max(1, models.length);
  const factors = Array.from({ length: most === 1 ? 1 : count }, (_, i) => most ** (i / Math.max(1, count - 1)));
  return factors.map((factor) => {
    const place = x.map((value) => factor * value);
    return { x: intoBox(boxOf(space), place), label: `regression × ${Number(factor.toPrecision(3))}` };
  });
}

export function notRegressable(space: SearchContext["space"], experts: SearchContext["experts"]): string | undefined {
  if (experts.size === 0) return 'no task has an expert: name them in "tasks: {experts: …}"';
  return notContinuous(space);
}
