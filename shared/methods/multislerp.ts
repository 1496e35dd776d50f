import { norm, sum, where } from "../expression/expression.js";
import { defineMethod } from "./method.js";
import { boolean, number } from "./parameter.js";
import { resolution, Span } from "./span.js";

export const multislerp = defineMethod({
  name: "multislerp",
  title: "Multi-SLERP (barycentre on the sphere)",
  reference: {
    title: "Goddard 2025, Multi-SLERP",
    url: "https://goddard.blog/posts/multislerp-wow-what-a-cool-idea",
  },
  summary: "The mean direction of any number of models at their mean length; with a base, of the task vectors.",
  base: "optional",
  perModel: { weight: number({ help: "weight of the model" }) },
  merge: {
    normalize_weights: boolean({ default: true, help: "divide the weights by their sum" }),
    eps: number({ default: 1e-8, min: 0, help: "added to each norm; a mean direction shorter than this is none" }),
  },
  /**
   * The method steps from the mean direction m = Σ wᵢ uᵢ / ‖Σ wᵢ uᵢ‖ along Σ wᵢ (uᵢ − (uᵢ · m) m), the weighted mean of
   * the tensors in the tangent space at m. That step is zero: Σ wᵢ uᵢ lies along m. So the result is m itself, at length
   * Σ wᵢ ‖xᵢ‖ · cos(eps), `eps` being what mergekit adds to the step's length too.
   */
  output({ base, models, normalize_weights, eps }) {
    const [only] = models;
    if (only !== undefined && models.length === 1) return only.tensor;
    const total = sum(models.map(({ weight }) => weight));
    const points = models.map(({ tensor, weight: given }) => {
      const x = base === undefined ? tensor : tensor.minus(base);
      const length = norm(x, "tensor");
      const weight = normalize_weights ? given.over(total) : given;
      return { x, weight, reach: weight.times(length), direction: weight.over(length.plus(eps)) };
    });
    const span = new Span(
      points.map(({ x }) => x),
      "tensor",
    );
    const mean = span.length(points.map(({ direction }) => direction));
    const weights = sum(points.map(({ weight }) => weight.abs()));
    const isBalanced = mean.isBelow(eps.atLeast(weights.times(resolution)));
    const stretch = sum(points.map(({ reach }) => reach))
      .times(eps.cos())
      .over(mean);
    const merged = span.combine(
      points.map(({ weight, direction }) => where(isBalanced, weight, direction.times(stretch))),
    );
    return base === undefined ? merged : base.plus(merged);
  },
  check({ models, merge }) {
    const total = models.reduce((subtotal, model) => subtotal + Number(model["weight"]), 0);
    return merge["normalize_weights"] === true && total === 0 && models.length > 1
      ? 'the weights sum to 0, so they cannot be normalized: change a weight or set "normalize_weights: false"'
      : undefined;
  },
});
