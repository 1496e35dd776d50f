import { type Expression, where } from "../expression/expression.js";
import { klDivergence } from "./divergence.js";
import { defineMethod } from "./method.js";

export const arceeFusion = defineMethod({
  name: "arcee_fusion",
  title: "Arcee Fusion",
  reference: { title: "Arcee AI 2025, Arcee Fusion (mergekit)", url: "https://www.arcee.ai" },
  summary: "Takes over the other model's elements that differ most, in rows whose distribution differs most.",
  base: "required",
  models: { min: 1, max: 1 },
  perModel: {},
  merge: {},
  output({ base, models }) {
    const [other] = models;
    if (other === undefined) throw new TypeError("arcee_fusion takes one model besides the base");
    const delta = other.tensor.minus(base);
    const importance = delta.abs().times(klDivergence(other.tensor, base));
    const quartile = (q: number): Expression => {
      // mergekit's index counts from the smallest, from 0; ours from the largest, from 1.
      const fromSmallest = importance.countOver("tensor").minus(1).times(q).floor();
      return importance.kthLargest("tensor", importance.countOver("tensor").minus(fromSmallest));
    };
    const spread = quartile(0.75).minus(quartile(0.25));
    const threshold = quartile(0.5).plus(spread.times(1.5));
    return base.plus(where(importance.isAtLeast(threshold), delta, 0));
  },
});
