import { dot, norm, where } from "../expression/expression.js";
import { defineMethod } from "./method.js";
import { number } from "./parameter.js";

/** Beyond this |cosine| the sphere is flat enough, or the great circle undefined, and slerp becomes a straight line. */
const nearlyColinear = 0.9995;
/** A norm too small to divide by. */
const noNorm = 1e-8;

export const slerp = defineMethod({
  name: "slerp",
  title: "Slerp (spherical interpolation)",
  reference: {
    title: "Shoemake 1985, Animating rotation with quaternion curves",
    url: "https://doi.org/10.1145/325334.325242",
  },
  summary: "Moves from the base (t = 0) to the other model (t = 1) along the sphere, tensor by tensor.",
  base: "required",
  models: { min: 1, max: 1 },
  perModel: {},
  merge: { t: number({ help: "0 gives the base, 1 the other model" }) },
  output({ base, models, t }) {
    const [other] = models;
    if (other === undefined) throw new TypeError("slerp takes one model besides the base");
    const [v0, v1] = [base, other.tensor];
    const divisor = (length: typeof t) => where(length.isAbove(noNorm), length, 1);
    const cosine = dot(v0, v1, "tensor").over(divisor(norm(v0, "tensor")).times(divisor(norm(v1, "tensor"))));
    const theta = cosine.acos();
    const colinear = cosine.abs().isAbove(nearlyColinear);
    const s0 = where(colinear, t.negated().plus(1), theta.minus(theta.times(t)).sin().over(theta.sin()));
    const s1 = where(colinear, t, theta.times(t).sin().over(theta.sin()));
    return v0.times(s0).plus(v1.times(s1));
  },
});
