import type { Space } from "../../space.js";

/** What coefficients cost by themselves. Smooth, so that one minimiser does for all. */
export interface Regulariser {
  value(x: Float64Array): number;
  gradient(x: Float64Array): Float64Array;
  /** Upper bounds of the second derivatives: a diagonal. */
  curvature(x: Float64Array): Float64Array;
}

export const none: Regulariser = {
  value: () => 0,
  gradient: (x) => new Float64Array(x.length),
  curvature: (x) => new Float64Array(x.length),
};

/** Within it of its corner, |d| is rounded off: far below what changes a merge. */
const corner = 1e-4;

/** gamma · mean |x − x_0|, as in Expert Merging; it keeps coefficients that change nothing where they began. */
export function distanceFrom(start: Float64Array, gamma: number): Regulariser {
  const each = gamma / start.length;
  const from = (x: Float64Array, i: number): number => (x[i] ?? 0) - (start[i] ?? 0);
  return {
    value: (x) => x.reduce((sum, _, i) => sum + each * (length(from(x, i) ** 2) - corner), 0),
    gradient: (x) => x.map((_, i) => (each * from(x, i)) / length(from(x, i) ** 2)),
    curvature: (x) => x.map((_, i) => each / length(from(x, i) ** 2)),
  };
}

/** gamma · mean over the groups of layers of the p-norm of their coefficients, one for each model (aTLAS). */
export function normOfGroups(space: Space, p: 1 | 2, gamma: number): Regulariser {
  const names = [...new Set(space.map(({ group }) => group))];
  // A 1-norm is the sum of the 2-norms of sets of one.
  const sets: readonly (readonly number[])[] =
    p === 1
      ? space.map((_, i) => [i])
      : names.map((name) => space.flatMap(({ group }, i) => (group === name ? [i] : [])));
  const each = gamma / names.length;
  const lengthOf = (x: Float64Array, set: readonly number[]): number =>
    length(set.reduce((sum, i) => sum + (x[i] ?? 0) ** 2, 0));
  const perCoefficient = (x: Float64Array, of: (i: number, length: number) => number): Float64Array => {
    const result = new Float64Array(x.length);
    for (const set of sets) {
      const size = lengthOf(x, set);
      for (const i of set) result[i] = of(i, size);
    }
    return result;
  };
  return {
    value: (x) => sets.reduce((sum, set) => sum + each * (lengthOf(x, set) - corner), 0),
    gradient: (x) => perCoefficient(x, (i, size) => (each * (x[i] ?? 0)) / size),
    curvature: (x) => perCoefficient(x, (_, size) => each / size),
  };
}

/** factor · x[i]: what Self Positioning charges for the norm. */
export function linearIn(i: number, factor: number): Regulariser {
  return {
    value: (x) => factor * (x[i] ?? 0),
    gradient: (x) => x.map((_, at) => (at === i ? factor : 0)),
    curvature: (x) => new Float64Array(x.length),
  };
}

function length(squares: number): number {
  return Math.sqrt(squares + corner ** 2);
}
