import { defineMethod } from "./method.js";
import { choice } from "./parameter.js";
import * as family from "./task-vector.js";

export const ties = defineMethod({
  name: "ties",
  title: "TIES",
  reference: { title: "Yadav et al. 2023, TIES-Merging", url: "https://arxiv.org/abs/2306.01708" },
  summary: "Trims each task vector to its largest elements, elects a sign per parameter, averages those that agree.",
  base: "required",
  perModel: { weight: family.weight, density: family.density },
  merge: {
    lambda: family.lambda,
    normalize: family.normalize(true),
    rescale: family.rescale("none"),
    scope: choice({
      choices: ["tensor", "model"],
      default: "tensor",
      help: "trim each tensor by itself (as mergekit) or the whole model at once (as the paper)",
    }),
  },
  inert: family.inert,
  output({ base, models, lambda, normalize, rescale, scope }) {
    const taskVectors = models.map((m) => {
      const delta = m.tensor.minus(base);
      const trimmed = family.keepLargest(delta, m.density, scope);
      return { delta: family.rescaled(trimmed, delta, m.density, rescale), weight: m.weight };
    });
    return family.addAgreeingTaskVectors(base, taskVectors, { lambda, normalize });
  },
});
