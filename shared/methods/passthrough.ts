import { defineMethod } from "./method.js";
import { number } from "./parameter.js";

export const passthrough = defineMethod({
  name: "passthrough",
  title: "Passthrough",
  reference: { title: "mergekit, passthrough" },
  summary: "One model's tensors, unchanged byte for byte unless a scale or another dtype is asked for.",
  base: "none",
  models: { min: 1, max: 1 },
  perModel: { scale: number({ optional: true, help: "multiplies every element; left out, bytes are copied" }) },
  merge: {},
  output({ models }) {
    const [model] = models;
    if (model === undefined) throw new TypeError("passthrough takes one model");
    return model.scale === undefined ? model.tensor : model.tensor.times(model.scale);
  },
});
