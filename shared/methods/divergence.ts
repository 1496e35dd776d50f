import { type Expression, where } from "../expression/expression.js";

/** Added to every probability (by mergekit), so that their ratio and its logarithm are finite. */
const leastProbability = 1e-8;

/** Rows whose logits differ by less than this everywhere have a divergence that needs care. */
const near = 0.5;

/** Below this, series are more accurate than formulas that subtract nearly equal numbers. */
const small = 0.1;

/**
 * KL(p ‖ q) = Σ p ln(p/q) for each row, where p and q are the softmax of the rows of x and of y, plus a little.
 *
 * Rows of two checkpoints mostly differ by so little that the terms of this sum, which are of the order of the
 * difference, cancel down to its square: in f32 what is left is rounding errors. Hence for near rows another form: with
 * p = q · (1 + u) it is Σ q · ((1 + u) ln(1 + u) − u), since Σ p = Σ q, whose terms are of the order of the square and
 * never negative. And u comes from the difference of the logits, not from p and q.
 */
export function klDivergence(x: Expression, y: Expression): Expression {
  const [p, q] = [softmax(x).plus(leastProbability), softmax(y).plus(leastProbability)];
  const far = p.times(p.over(q).log()).sumOver("row");

  const change = x.minus(y);
  // What softmax divides by grows from y to x by this factor, less 1.
  const growth = softmax(y).times(expMinus1(change)).sumOver("row");
  const u = softmax(y)
    .times(expMinus1(change.minus(growth.plus(1).log())))
    .over(q);
  const nearby = q.times(secondOrder(u)).sumOver("row");
  return where(change.abs().largestOver("row").isBelow(near), nearby, far);
}

function softmax(x: Expression): Expression {
  const powers = x.minus(x.largestOver("row")).exp();
  return powers.over(powers.sumOver("row"));
}

/** eˣ − 1 */
function expMinus1(x: Expression): Expression {
  const series = x.times(polynomial(x, [1 / 120, 1 / 24, 1 / 6, 1 / 2, 1]));
  return where(x.abs().isBelow(small), series, x.exp().minus(1));
}

/** (1 + u) ln(1 + u) − u, which is u²/2 and less. */
function secondOrder(u: Expression): Expression {
  const series = u.times(u).times(polynomial(u, [-1 / 42, 1 / 30, -1 / 20, 1 / 12, -1 / 6, 1 / 2]));
  const ratio = u.plus(1);
  return where(u.abs().isBelow(small), series, ratio.times(ratio.log()).minus(u));
}

/** By coefficients from the highest power down. */
function polynomial(x: Expression, [highest = 0, ...rest]: readonly number[]): Expression {
  const start = x.times(highest);
  return rest.slice(1).reduce((sum, coefficient) => sum.times(x).plus(coefficient), start.plus(rest[0] ?? 0));
}
