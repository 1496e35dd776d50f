import { defineMethod } from "./method.js";
import { addTaskVectors, inert, lambda, normalize, weight } from "./task-vector.js";

export const taskArithmetic = defineMethod({
  name: "task_arithmetic",
  title: "Task arithmetic",
  reference: {
    title: "Ilharco et al. 2023, Editing models with task arithmetic",
    url: "https://arxiv.org/abs/2212.04089",
  },
  summary: "Adds the weighted task vectors (model minus base) to the base.",
  base: "required",
  perModel: { weight },
  merge: { lambda, normalize: normalize(false) },
  inert: {
    ...inert,
    density: "task_arithmetic does not sparsify",
    rescale: "task_arithmetic does not sparsify",
  },
  output({ base, models, lambda, normalize }) {
    const taskVectors = models.map((m) => ({ delta: m.tensor.minus(base), weight: m.weight }));
    return addTaskVectors(base, taskVectors, { lambda, normalize });
  },
});
