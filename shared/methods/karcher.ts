import { type Expression, norm, sum, where } from "../expression/expression.js";
import { defineMethod } from "./method.js";
import { integer, number } from "./parameter.js";
import { clampCosine, resolution, Span } from "./span.js";

/** A tensor xᵢ as a point on the sphere. */
interface Point {
  readonly tensor: Expression;
  readonly length: Expression;
  /** Whether it is long enough to have a direction. */
  readonly hasDirection: Expression;
  /** 1 / ‖xᵢ‖, or 0 without a direction. */
  readonly unit: Expression;
  /** 1 / the number of points with a direction, or 0 without one. */
  readonly share: Expression;
}

export const karcher = defineMethod({
  name: "karcher",
  title: "Karcher mean",
  reference: {
    title: "Wang et al. 2026, Functionality-oriented LLM merging on the Fisher–Rao manifold",
    url: "https://arxiv.org/abs/2603.04972",
  },
  summary: "The point of the sphere nearest to all models' directions (the Riemannian mean), at their mean length.",
  base: "none",
  perModel: {},
  merge: {
    max_iter: integer({ default: 10, min: 0, max: 100, help: "steps towards the mean, at most" }),
    tol: number({ default: 1e-5, min: 0, help: "stop at a step shorter than this; shorter tensors have no direction" }),
  },
  output({ models, max_iter, tol }) {
    const [only] = models;
    if (only !== undefined && models.length === 1) return only.tensor;
    const points = pointsOf(
      models.map(({ tensor }) => tensor),
      tol,
    );
    const span = new Span(
      points.map(({ tensor }) => tensor),
      "tensor",
    );
    let mean = startingPoint(points, span, tol);
    for (let step = 0; step < max_iter; step += 1) {
      const tangent = logarithmicMean(points, span, mean, tol);
      const angle = span.length(tangent);
      const [along, aside] = [angle.cos(), angle.sin().over(angle)];
      const hasArrived = angle.isAtMost(tol);
      // A mean that has arrived stays, and then so does every later one.
      mean = zip(mean, tangent, (m, t) => where(hasArrived, m, m.times(along).plus(t.times(aside))));
    }
    const length = sum(points.map((point) => point.length)).over(points.length);
    return span.combine(mean.map((coefficient) => coefficient.times(length)));
  },
});

function pointsOf(tensors: readonly Expression[], tol: Expression): readonly Point[] {
  const measured = tensors.map((tensor) => {
    const length = norm(tensor, "tensor");
    const hasDirection = length.isAbove(tol);
    return { tensor, length, hasDirection, counted: where(hasDirection, 1, 0) };
  });
  const count = sum(measured.map(({ counted }) => counted)).atLeast(1);
  return measured.map(({ counted, ...point }) => ({
    ...point,
    unit: counted.over(where(point.hasDirection, point.length, 1)),
    share: counted.over(count),
  }));
}

/** The normalized mean of the directions; the first direction where they balance and there is no mean. */
function startingPoint(points: readonly Point[], span: Span, tol: Expression): readonly Expression[] {
  const mean = points.map(({ share, unit }) => share.times(unit));
  const length = span.length(mean);
  const isBalanced = length.isBelow(tol.atLeast(resolution));
  return zip(mean, firstDirection(points), (m, first) => where(isBalanced, first, m.over(length)));
}

function firstDirection(points: readonly Point[]): readonly Expression[] {
  return points.map(({ unit, hasDirection }, i) => {
    const isFirst = points.slice(0, i).reduce((mask, earlier) => mask.and(earlier.unit.equals(0)), hasDirection);
    return where(isFirst, unit, 0);
  });
}

/** Σ aᵢ log_m(uᵢ), the mean seen from m: log_m(u) = (u − cos θ m) θ / sin θ, with θ the angle between m and u. */
function logarithmicMean(
  points: readonly Point[],
  span: Span,
  mean: readonly Expression[],
  tol: Expression,
): readonly Expression[] {
  const pulls = points.map(({ tensor, unit, share }) => {
    const cosine = clampCosine(span.dot(tensor, mean).times(unit));
    const theta = cosine.acos();
    const sine = theta.sin();
    // Near 0 the quotient's limit is 1. Near π no direction leads to u, and 1 makes next to nothing of u − cos θ m.
    const stretch = where(sine.isBelow(resolution), 1, theta.over(sine));
    return { cosine, pull: where(theta.isBelow(tol), 0, share.times(stretch)) };
  });
  const back = sum(pulls.map(({ cosine, pull }) => cosine.times(pull)));
  const outward = zip(
    points,
    pulls.map(({ pull }) => pull),
    ({ unit }, pull) => unit.times(pull),
  );
  return zip(outward, mean, (out, m) => out.minus(m.times(back)));
}

function zip<A, B>(a: readonly A[], b: readonly B[], merge: (a: A, b: B) => Expression): readonly Expression[] {
  return a.map((value, i) => merge(value, b[i] as B));
}
