import {
  evaluate,
  type OptionSpec,
  type OptionValues,
  type SearchContext,
  type Searching,
  type SearchKind,
} from "../searching.js";
import { notContinuous } from "./box.js";
import { type Descent, totalLoss } from "./descent.js";
import { notRegressable, regressedMultiples, regressionOptions } from "./layer-regression.js";

/**
 * Where to begin. `own`: where the paper does. `regression`: there, or where the closed form of `layer-regression` says,
 * whichever loses least; for it, experts are run on so many `examples` of each task.
 */
export const startOptions = {
  start: { kind: "choice", default: "own", values: ["own", "regression"] },
  examples: regressionOptions.examples,
} satisfies Record<string, OptionSpec>;

/** What {@link startOptions} needs. */
export const startNeeds = {
  layers: (options) => options["start"] === "regression",
  refuses: ({ space, experts }, options) =>
    options["start"] === "regression" ? notRegressable(space, experts) : notContinuous(space),
} satisfies Pick<SearchKind, "layers" | "refuses">;

/** Of all places to begin at, the one with the smallest loss. */
export function* bestStart(
  context: SearchContext,
  options: OptionValues,
  descent: Descent,
  own: Float64Array,
): Searching<Float64Array> {
  if (options["start"] !== "regression") return own;
  const [gamma, count] = [regressionOptions.gamma.default, regressionOptions.multiples.default];
  const places = [{ x: own, label: "start" }, ...regressedMultiples(context, { gamma, count })];
  const outcomes = yield* evaluate(places.map(({ x, label }) => descent.request(x, label)));
  let best = { x: own, loss: Number.NaN };
  for (const [i, { x }] of places.entries()) {
    const loss = totalLoss(descent, x, outcomes[i]);
    if (!Number.isNaN(loss) && !(best.loss <= loss)) best = { x, loss };
  }
  return best.x;
}
