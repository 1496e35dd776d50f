import { defineMethod } from "./method.js";
import { number } from "./parameter.js";

export const nearswap = defineMethod({
  name: "nearswap",
  title: "NearSwap",
  reference: {
    title: "alchemonaut 2024, QuartetAnemoi-70B (model card)",
    url: "https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001",
  },
  summary:
    "Takes over the other model's elements where they are near the base's, and less of them the further they are.",
  base: "required",
  models: { min: 1, max: 1 },
  perModel: {},
  merge: { t: number({ help: "distance up to which an element is taken over whole" }) },
  output({ base, models, t }) {
    const [other] = models;
    if (other === undefined) throw new TypeError("nearswap takes one model besides the base");
    const distance = base.minus(other.tensor).abs().atLeast(1e-6);
    const share = t.over(distance).atLeast(0).atMost(1);
    return other.tensor.times(share).plus(base.times(share.negated().plus(1)));
  },
});
