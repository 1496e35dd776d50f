import { CholeskyDecomposition, Matrix as Dense } from "ml-matrix";
import { addScaled, dot, type Matrix } from "../../../../shared/linalg/matrix.js";
import { breathe, type Searching } from "../searching.js";
import { type Box, intoBox } from "./box.js";
import { LimitedMemory } from "./lbfgs.js";

/** A function that costs nothing to ask: a surrogate, not a trial. */
export interface Cheap {
  value(x: Float64Array): number;
  gradient(x: Float64Array): Float64Array;
  /** Second derivatives, or a positive semidefinite stand-in for them. */
  readonly curvature?: ((x: Float64Array) => Matrix) | undefined;
}

const maxIterations = 100;
const maxHalvings = 40;

/** Of the value: answers are f32, and smaller changes are their rounding. */
const negligible = 1e-10;

/**
 * A minimum in a box from a start inside it, by two-metric projection (Bertsekas 1982): coefficients that the gradient
 * presses against a wall stay there, the others move along a Newton direction, L-BFGS where there is no curvature, and what
 * leaves the box is put back on its wall.
 */
export function minimiseInBox(cheap: Cheap, start: Float64Array, box: Box): Float64Array {
  const descent = minimisingInBox(cheap, start, box);
  for (;;) {
    const step = descent.next([]);
    if (step.done === true) return step.value;
  }
}

/** The same for functions that take long, with a breath between its iterations. */
export function* minimisingInBox(cheap: Cheap, start: Float64Array, box: Box): Searching<Float64Array> {
  const past = new LimitedMemory();
  let x = intoBox(box, start);
  let value = cheap.value(x);
  let gradient = cheap.gradient(x);
  for (let iteration = 0; iteration < maxIterations; iteration += 1) {
    const free = freeToMove(box, x, gradient);
    const slopes = gradient.map((slope, i) => (free[i] === true ? slope : 0));
    if (slopes.every((slope) => Math.abs(slope) < 1e-10)) break;
    const newton =
      cheap.curvature === undefined
        ? past.direction(gradient, free)
        : newtonDirection(cheap.curvature(x), slopes, free);
    const direction = dot(newton, slopes) < 0 ? newton : slopes.map((slope) => -slope);
    const next = searchLine(cheap, box, x, direction, value, gradient);
    if (next === undefined) break;
    const nextGradient = cheap.gradient(next.x);
    past.remember(difference(next.x, x), difference(nextGradient, gradient));
    ({ x, value } = next);
    gradient = nextGradient;
    yield* breathe();
  }
  return x;
}

function freeToMove({ low, high }: Box, x: Float64Array, gradient: Float64Array): boolean[] {
  return Array.from(x, (value, i) => {
    const slope = gradient[i] ?? 0;
    return !(value <= (low[i] ?? value) && slope > 0) && !(value >= (high[i] ?? value) && slope < 0);
  });
}

/** Solves H d = −g among the free coefficients. */
function newtonDirection(curvature: Matrix, slopes: Float64Array, free: readonly boolean[]): Float64Array {
  const places = Array.from(slopes.keys()).filter((i) => free[i] === true);
  const element = (i: number, j: number): number => curvature.data[i * curvature.columns + j] ?? 0;
  const mean = places.reduce((sum, i) => sum + element(i, i), 0) / places.length;
  // Directions in which nothing changes have no curvature; a little for all keeps steps in them short.
  for (let damping = 1e-9 * mean + 1e-12; damping < 1e12; damping = damping * 100) {
    const reduced = new Dense(places.map((i) => places.map((j) => element(i, j) + (i === j ? damping : 0))));
    const factors = new CholeskyDecomposition(reduced);
    if (!factors.isPositiveDefinite()) continue;
    const solution = factors.solve(Dense.columnVector(places.map((i) => -(slopes[i] ?? 0)))).to1DArray();
    const direction = new Float64Array(slopes.length);
    for (const [k, i] of places.entries()) direction[i] = solution[k] ?? 0;
    return direction;
  }
  return slopes.map((slope) => -slope);
}

/** Halves the step until the value falls by a fair part of what the slope promises (Armijo). Undefined: it never does. */
function searchLine(
  cheap: Cheap,
  box: Box,
  x: Float64Array,
  direction: Float64Array,
  value: number,
  gradient: Float64Array,
): { readonly x: Float64Array; readonly value: number } | undefined {
  let length = 1;
  for (let halving = 0; halving < maxHalvings; halving += 1) {
    const moved = x.slice();
    addScaled(moved, length, direction);
    const place = intoBox(box, moved);
    const promised = dot(gradient, difference(place, x));
    if (Math.abs(promised) <= negligible * Math.abs(value)) return undefined;
    const reached = cheap.value(place);
    if (promised < 0 && reached < value && reached <= value + 1e-4 * promised) return { x: place, value: reached };
    length /= 2;
  }
  return undefined;
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - (b[i] ?? 0));
}
