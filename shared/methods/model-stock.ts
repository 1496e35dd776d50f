import { dot, type Expression, norm, sum, where } from "../expression/expression.js";
import type { Scope } from "../expression/program.js";
import { defineMethod } from "./method.js";
import { boolean } from "./parameter.js";
import { clampCosine } from "./span.js";

export const modelStock = defineMethod({
  name: "model_stock",
  title: "Model Stock",
  reference: {
    title: "Jang et al. 2024, Model Stock: all we need is just a few fine-tuned models",
    url: "https://arxiv.org/abs/2403.19522",
  },
  summary: "Moves from the base towards the mean of the models, as far as the angle between their task vectors says.",
  base: "required",
  models: { min: 2, max: Number.POSITIVE_INFINITY },
  perModel: {},
  merge: {
    filter_wise: boolean({ default: false, help: "one angle for each row of a tensor, not one for the whole" }),
  },
  /** t = N cos θ / (1 + (N − 1) cos θ) (equation 4), with cos θ the mean over all pairs of the N models. */
  output({ base, models, filter_wise }) {
    const deltas = models.map(({ tensor }) => tensor.minus(base));
    const count = deltas.length;
    const cosines = pairsOf(deltas).map(([a, b]) => cosineOf(a, b, filter_wise ? "row" : "tensor"));
    const cosine = sum(cosines).over(cosines.length);
    const divisor = cosine.times(count - 1).plus(1);
    const isSingular = divisor.abs().isBelow(1e-6);
    const t = where(isSingular, 0, cosine.times(count).over(divisor));
    return base.plus(sum(deltas).times(t.over(count)));
  },
});

/** As in mergekit, very short task vectors count as being at right angles: their cosine shrinks towards 0. */
function cosineOf(a: Expression, b: Expression, scope: Scope): Expression {
  return clampCosine(dot(a, b, scope).over(norm(a, scope).times(norm(b, scope)).atLeast(1e-6)));
}

function pairsOf<T>(items: readonly T[]): readonly (readonly [T, T])[] {
  return items.flatMap((a, i) => items.slice(i + 1).map((b) => [a, b] as const));
}
