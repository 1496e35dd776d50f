import { type Expression, where } from "../expression/expression.js";
import { defineMethod, type MethodModel } from "./method.js";
import { number } from "./parameter.js";
import * as family from "./task-vector.js";

const perModel = {
  weight: family.weight,
  density: family.density,
  gamma: number({ default: 0.01, min: 0, max: 1, help: "share of the task vector's largest elements that is dropped" }),
};
const merge = { lambda: family.lambda, normalize: family.normalize(false), rescale: family.rescale("none") };
const reference = {
  title: "Davari and Belilovsky 2023, Model Breadcrumbs",
  url: "https://arxiv.org/abs/2312.06795",
};

/** The largest elements of a task vector are outliers, the smallest are noise: the density share between is kept. */
function sparsify(base: Expression, models: readonly MethodModel<typeof perModel>[], rescale: family.Rescale) {
  return models.map(({ tensor, weight, density, gamma }) => {
    const delta = tensor.minus(base);
    if (density === undefined) return { delta, weight };
    return { delta: family.rescaled(keepBetween(delta, density, gamma), delta, density, rescale), weight };
  });
}

/**
 * Keeps ⌊density · n⌋ elements: those that come next in magnitude after the ⌊gamma · n⌋ largest, or fewer of these
 * where so many would not be left. Elements that tie with the largest or the smallest kept one are kept too.
 */
function keepBetween(x: Expression, density: Expression, gamma: Expression): Expression {
  const count = x.countOver("tensor");
  const kept = density.times(count).floor();
  const outliers = gamma.times(count).floor().atMost(count.minus(kept));
  const isTooLarge = x.abs().isAbove(x.kthMagnitude("tensor", outliers.plus(1)));
  const isTooSmall = x.abs().isBelow(x.kthMagnitude("tensor", outliers.plus(kept)));
  return where(isTooLarge.or(isTooSmall).or(kept.equals(0)), 0, x);
}

export const breadcrumbs = defineMethod({
  name: "breadcrumbs",
  title: "Model Breadcrumbs",
  reference,
  summary: "Drops the largest and the smallest elements of each task vector and adds the weighted task vectors.",
  base: "required",
  perModel,
  merge,
  inert: family.inert,
  output({ base, models, lambda, normalize, rescale }) {
    return family.addTaskVectors(base, sparsify(base, models, rescale), { lambda, normalize });
  },
});

export const breadcrumbsTies = defineMethod({
  name: "breadcrumbs_ties",
  title: "Model Breadcrumbs, with TIES sign election",
  reference,
  summary: "Drops the largest and the smallest elements of each task vector and merges those that agree in sign.",
  base: "required",
  perModel,
  merge,
  inert: family.inert,
  output({ base, models, lambda, normalize, rescale }) {
    return family.addAgreeingTaskVectors(base, sparsify(base, models, rescale), { lambda, normalize });
  },
});
