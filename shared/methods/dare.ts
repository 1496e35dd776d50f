import type { Expression } from "../expression/expression.js";
import { defineMethod, type MethodModel } from "./method.js";
import * as family from "./task-vector.js";

const perModel = { weight: family.weight, density: family.density };
const merge = { lambda: family.lambda, normalize: family.normalize(false), rescale: family.rescale("l1") };
const reference = {
  title: "Yu et al. 2024, Language models are super mario",
  url: "https://arxiv.org/abs/2311.03099",
};

/** Drop And REscale (DARE, section 3.2), one random mask per model and tensor. */
function dropAndRescale(base: Expression, models: readonly MethodModel<typeof perModel>[], rescale: family.Rescale) {
  return models.map(({ tensor, weight, density, index }) => {
    const delta = tensor.minus(base);
    const kept = family.keepRandomly(delta, density, index);
    return { delta: family.rescaled(kept, delta, density, rescale), weight };
  });
}

export const dareLinear = defineMethod({
  name: "dare_linear",
  title: "DARE, linear",
  reference,
  summary: "Drops random elements of each task vector, rescales the rest, and adds the weighted task vectors.",
  base: "required",
  perModel,
  merge,
  inert: family.inert,
  output({ base, models, lambda, normalize, rescale }) {
    return family.addTaskVectors(base, dropAndRescale(base, models, rescale), { lambda, normalize });
  },
});

export const dareTies = defineMethod({
  name: "dare_ties",
  title: "DARE, with TIES sign election",
  reference,
  summary: "Drops random elements of each task vector, rescales the rest, and merges those that agree in sign.",
  base: "required",
  perModel,
  merge,
  inert: family.inert,
  output({ base, models, lambda, normalize, rescale }) {
    return family.addAgreeingTaskVectors(base, dropAndRescale(base, models, rescale), { lambda, normalize });
  },
});
