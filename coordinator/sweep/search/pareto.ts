import { isUsable, type Judged } from "./order.js";

// Losses: smaller is better, as everywhere in a sweep.

/** Nowhere worse and somewhere better. */
export function dominatesLosses(a: readonly number[], b: readonly number[]): boolean {
  let better = false;
  for (let i = 0; i < a.length; i += 1) {
    const [one, other] = [a[i] ?? 0, b[i] ?? 0];
    if (one > other) return false;
    if (one < other) better = true;
  }
  return better;
}

/**
 * Constrained domination (Deb et al. 2002, definition 1): what has scores dominates what failed, what violates constraints
 * less dominates what does more, and of those that violate none the losses decide.
 */
export function dominates(a: Judged, b: Judged): boolean {
  const [usableA, usableB] = [isUsable(a), isUsable(b)];
  if (!usableA || !usableB) return usableA && !usableB;
  if (a.violation > 0 || b.violation > 0) return a.violation < b.violation;
  return dominatesLosses(a.losses, b.losses);
}

/**
 * Indices by front: the first holds what nothing dominates, the second what only the first dominates… (Deb et al. 2002,
 * III.A). Taken in an order in which none dominates an earlier one, each belongs to the first front of which no member
 * dominates it (Zhang et al. 2015, "An Efficient Approach to Nondominated Sorting"), which spares most comparisons.
 */
export function nonDominatedFronts(outcomes: readonly Judged[]): number[][] {
  const order = [...outcomes.keys()].toSorted((i, j) => sortingOrder(outcomes[i], outcomes[j]));
  const fronts: number[][] = [];
  for (const i of order) {
    const one = outcomes[i];
    if (one === undefined) continue;
    const isAbove = (j: number): boolean => {
      const other = outcomes[j];
      return other !== undefined && dominates(other, one);
    };
    // Those that came last are the most alike, and so the likeliest to dominate.
    const front = fronts.find((members) => members.findLast(isAbove) === undefined);
    if (front === undefined) fronts.push([i]);
    else front.push(i);
  }
  return fronts.map((front) => front.toSorted((a, b) => a - b));
}

/** What dominates comes first: usable, little violation, and of those equal there the smaller losses, one by one. */
function sortingOrder(a: Judged | undefined, b: Judged | undefined): number {
  if (a === undefined || b === undefined) return 0;
  const [usableA, usableB] = [isUsable(a), isUsable(b)];
  if (!usableA || !usableB) return Number(usableB) - Number(usableA);
  if (a.violation !== b.violation) return a.violation - b.violation;
  for (const [i, loss] of a.losses.entries()) {
    const other = b.losses[i] ?? 0;
    if (loss !== other) return loss < other ? -1 : 1;
  }
  return 0;
}

/** What nothing dominates, in the order given; nothing that failed. */
export function frontOf<T extends Judged>(outcomes: readonly T[]): readonly T[] {
  const usable = outcomes.filter(isUsable);
  const least = usable.reduce((smallest, { violation }) => Math.min(smallest, violation), Number.POSITIVE_INFINITY);
  let front: T[] = [];
  for (const one of usable.filter(({ violation }) => violation <= least)) {
    if (front.some((other) => dominates(other, one))) continue;
    front = [...front.filter((other) => !dominates(one, other)), one];
  }
  return front;
}

/**
 * How far each point's neighbours in a front are apart, summed over the objectives and relative to the front's extent; the
 * ends of every objective are infinitely far (Deb et al. 2002, III.B).
 */
export function crowdingDistance(front: readonly (readonly number[])[]): number[] {
  const distances = new Array<number>(front.length).fill(0);
  for (const objective of (front[0] ?? []).keys()) {
    const lossOf = (i: number | undefined): number => front[i ?? 0]?.[objective] ?? 0;
    const order = [...front.keys()].toSorted((a, b) => lossOf(a) - lossOf(b));
    const [first = 0, last = 0] = [order[0], order.at(-1)];
    const extent = lossOf(last) - lossOf(first);
    for (const [place, i] of order.entries()) {
      const gap = (lossOf(order[place + 1]) - lossOf(order[place - 1])) / extent;
      const isEnd = i === first || i === last;
      const inside = Number.isFinite(gap) ? gap : 0;
      distances[i] = (distances[i] ?? 0) + (isEnd ? Number.POSITIVE_INFINITY : inside);
    }
  }
  return distances;
}
