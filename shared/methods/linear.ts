import { sum } from "../expression/expression.js";
import { defineMethod } from "./method.js";
import { boolean, number } from "./parameter.js";

export const linear = defineMethod({
  name: "linear",
  title: "Linear (weighted average)",
  reference: { title: "Wortsman et al. 2022, Model soups", url: "https://arxiv.org/abs/2203.05482" },
  summary: "The weighted average of the models; the plain model soup when all weights are equal.",
  base: "none",
  perModel: { weight: number({ help: "relative weight of the model" }) },
  merge: { normalize: boolean({ default: true, help: "divide by the sum of the weights" }) },
  output({ models, normalize }) {
    const weighted = sum(models.map((m) => m.tensor.times(m.weight)));
    return normalize ? weighted.over(sum(models.map((m) => m.weight))) : weighted;
  },
  check({ models, merge }) {
    const total = models.reduce((subtotal, model) => subtotal + Number(model["weight"]), 0);
    return merge["normalize"] === true && total === 0
      ? 'the weights sum to 0, so they cannot be normalized: change a weight or set "normalize: false"'
      : undefined;
  },
});
