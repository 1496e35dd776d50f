import { dot, type Expression, norm, where } from "../expression/expression.js";
import type { Scope } from "../expression/program.js";
import { defineMethod } from "./method.js";
import { boolean, number } from "./parameter.js";
import { clampCosine, resolution } from "./span.js";

export const nuslerp = defineMethod({
  name: "nuslerp",
  title: "NuSLERP (spherical interpolation by weights)",
  reference: {
    title: "Shoemake 1985, Animating rotation with quaternion curves",
    url: "https://doi.org/10.1145/325334.325242",
  },
  summary: "Slerp between two models by their weights: of tensors or of rows or columns, or of task vectors.",
  base: "optional",
  models: { min: 2, max: 2 },
  perModel: { weight: number({ help: "relative weight of the model: t is the second's share of the sum" }) },
  merge: {
    nuslerp_flatten: boolean({ default: true, help: "a tensor is one vector; false: each of its rows is" }),
    nuslerp_row_wise: boolean({
      default: false,
      help: "with nuslerp_flatten false: each column is a vector, not each row",
    }),
  },
  output({ base, models, nuslerp_flatten, nuslerp_row_wise }) {
    const [first, second] = models;
    if (first === undefined || second === undefined) throw new TypeError("nuslerp takes two models");
    const total = first.weight.plus(second.weight);
    const t = where(total.abs().isBelow(1e-6), 0.5, second.weight.over(total));
    // mergekit's "row-wise" walks along the first dimension, which makes vectors of columns.
    const scope = nuslerp_flatten ? "tensor" : nuslerp_row_wise ? "column" : "row";
    if (base === undefined) return alongArc(first.tensor, second.tensor, t, scope);
    return base.plus(alongArc(first.tensor.minus(base), second.tensor.minus(base), t, scope));
  },
});

/** From v0 (t = 0) to v1 (t = 1) along the great circle; straight where they point the same way or opposite ways. */
function alongArc(v0: Expression, v1: Expression, t: Expression, scope: Scope): Expression {
  const divisor = (v: Expression) => norm(v, scope).atLeast(1e-7);
  const cosine = clampCosine(dot(v0, v1, scope).over(divisor(v0).times(divisor(v1))));
  const isStraight = cosine.times(cosine).isAtLeast(1 - resolution ** 2);
  const theta = cosine.acos();
  const rest = t.negated().plus(1);
  const s0 = where(isStraight, rest, theta.times(rest).sin().over(theta.sin()));
  const s1 = where(isStraight, t, theta.times(t).sin().over(theta.sin()));
  return v0.times(s0).plus(v1.times(s1));
}
