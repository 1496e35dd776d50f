import { dot, type Expression, sum, where } from "../expression/expression.js";
import { defineMethod } from "./method.js";
import { number } from "./parameter.js";
import { agreements, inert } from "./task-vector.js";

export const sce = defineMethod({
  name: "sce",
  title: "SCE (select, calculate, erase)",
  reference: { title: "Wan et al. 2024, FuseChat", url: "https://arxiv.org/abs/2408.07990" },
  summary: "Keeps the elements that differ most between models, weights models by their energy, erases minority signs.",
  base: "required",
  perModel: {},
  merge: {
    select_topk: number({
      default: 1,
      neutral: 1,
      min: 0,
      max: 1,
      help: "share of the elements that is kept, by variance",
    }),
  },
  inert,
  output({ base, models, select_topk }) {
    const taskVectors = models.map(({ tensor }) => tensor.minus(base));
    const deltas = select_topk === undefined ? taskVectors : selectVarying(taskVectors, select_topk);
    const weights = energyShares(deltas);
    const agree = agreements(deltas);
    const weight = sum(weights.map((share, i) => where(agree[i] as Expression, share, 0)));
    const terms = deltas.map((delta, i) => where(agree[i] as Expression, delta.times(weights[i] as Expression), 0));
    return base.plus(sum(terms).over(weight.atLeast(1e-6)));
  },
});

/**
 * Zeroes all but the elements whose variance over the models is largest: that share of those that vary at all, and
 * whatever ties with the last one kept.
 */
function selectVarying(deltas: readonly Expression[], share: Expression): readonly Expression[] {
  const variance = varianceOf(deltas);
  const varying = where(variance.equals(0), 0, 1).sumOver("tensor");
  const smallestKept = variance.kthMagnitude("tensor", varying.times(share).floor());
  return deltas.map((delta) => where(variance.isBelow(smallestKept), 0, delta));
}

/** Per element, over the models. About the first one rather than zero, so that equal elements have variance 0. */
function varianceOf(deltas: readonly Expression[]): Expression {
  const fromFirst = deltas.map((delta) => delta.minus(deltas[0] as Expression));
  const mean = sum(fromFirst).over(deltas.length);
  const deviations = fromFirst.map((x) => x.minus(mean));
  return sum(deviations.map((x) => x.times(x))).over(deltas.length);
}

/** Each model's share of the sum of mean squares. mergekit: equal shares where that sum is below 1e-6. */
function energyShares(deltas: readonly Expression[]): readonly Expression[] {
  const energies = deltas.map((delta) => dot(delta, delta, "tensor").over(delta.countOver("tensor")));
  const total = sum(energies);
  const isFaint = total.isBelow(1e-6);
  return energies.map((energy) => where(isFaint, 1 / deltas.length, energy.over(total)));
}
