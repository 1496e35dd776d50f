import { type Expression, where } from "../expression/expression.js";
import { defineMethod, type MethodModel, type MethodValues } from "./method.js";
import { number } from "./parameter.js";
import * as family from "./task-vector.js";

const perModel = {
  weight: family.weight,
  density: family.density,
  epsilon: number({
    default: 0.15,
    help: "how far the chance to be kept moves from the density: down for a row's smallest element, up for its largest",
  }),
};
const merge = (normalize: boolean) => ({
  lambda: family.lambda,
  normalize: family.normalize(normalize),
  rescale: family.rescale("l1"),
});
const reference = { title: "Deep et al. 2024, DELLA-Merging", url: "https://arxiv.org/abs/2406.11617" };

/** MAGPRUNE (section 3.1): drops at random, small elements of a row more often than large ones, and rescales. */
function sparsify(base: Expression, models: readonly MethodModel<typeof perModel>[], rescale: family.Rescale) {
  return models.map(({ tensor, weight, density, epsilon, index }) => {
    const delta = tensor.minus(base);
    if (density === undefined) return { delta, weight };
    const share = density.minus(epsilon).plus(delta.rankInRow().times(epsilon.times(2)));
    const isDrawn = density.isAbove(0).and(delta.uniform(index).isBelow(share));
    const kept = where(isDrawn, delta, 0);
    // By the share that was kept at this rank; 1 where nothing was drawn.
    const inverse = () => kept.over(where(density.isAtMost(0), 1, share));
    return { delta: rescale === "inverse" ? inverse() : family.rescaled(kept, delta, density, rescale), weight };
  });
}

function check({ models }: MethodValues): string | undefined {
  for (const { density, epsilon } of models) {
    const [share, reach] = [Number(density), Number(epsilon)];
    if (share <= 0 || share >= 1 || (share - reach > 0 && share + reach < 1)) continue;
    return `density ${share} ± epsilon ${reach} must stay between 0 and 1: choose a smaller epsilon`;
  }
  return undefined;
}

export const della = defineMethod({
  name: "della",
  title: "DELLA",
  reference,
  summary:
    "Drops random elements of each task vector, small ones more often, rescales the rest, and merges those that agree in sign.",
  base: "required",
  perModel,
  merge: merge(true),
  inert: family.inert,
  output({ base, models, lambda, normalize, rescale }) {
    return family.addAgreeingTaskVectors(base, sparsify(base, models, rescale), { lambda, normalize });
  },
  check,
});

export const dellaLinear = defineMethod({
  name: "della_linear",
  title: "DELLA, linear",
  reference,
  summary:
    "Drops random elements of each task vector, small ones more often, rescales the rest, and adds the weighted task vectors.",
  base: "required",
  perModel,
  merge: merge(false),
  inert: family.inert,
  output({ base, models, lambda, normalize, rescale }) {
    return family.addTaskVectors(base, sparsify(base, models, rescale), { lambda, normalize });
  },
  check,
});
