import { type Dimension, type ParameterValue, type Point, pointKey, type Space, valueAt } from "../space.js";

/** The values of a dimension that has finitely many, in order; undefined for a range without steps. */
export function valuesOf(dimension: Dimension): readonly ParameterValue[] | undefined {
  if (dimension.kind === "choice") return dimension.values;
  const { low, high, step } = dimension;
  if (low === high) return [low];
  if (step === undefined) return undefined;
  const steps = Math.floor((high - low) / step + 1e-9);
  return Array.from({ length: steps + 1 }, (_, i) => valueAt(dimension, (i * step) / (high - low)));
}

/** How far apart neighbouring coordinates of a dimension are that have different values; undefined for a range without steps. */
export function resolutionOf(dimension: Dimension): number | undefined {
  if (dimension.kind === "choice") return 1 / dimension.values.length;
  const { low, high, step } = dimension;
  return step === undefined || low === high ? undefined : Math.min(1, step / (high - low));
}

/** How many points a space has. */
export function pointCount(space: Space): number {
  return space.reduce((count, dimension) => count * (valuesOf(dimension)?.length ?? Number.POSITIVE_INFINITY), 1);
}

/** All combinations, the last dimension's values fastest; `index` counts from 0. */
export function combination(space: Space, values: readonly (readonly ParameterValue[])[], index: number): Point {
  let rest = index;
  const chosen = values.toReversed().map((those) => {
    const value = those[rest % those.length] ?? 0;
    rest = Math.floor(rest / those.length);
    return value;
  });
  chosen.reverse();
  return Object.fromEntries(space.map(({ name }, i) => [name, chosen[i] ?? 0]));
}

/** Of a space with more points, none is looked up one by one. */
const maxListed = 100_000;

/** Draws again where a point came up before. */
const redraws = 100;

/** The points that a search has proposed. A search of a small space must not run the same merge for ever. */
export class Proposed {
  readonly #space: Space;
  readonly #keys = new Set<string>();
  readonly #total: number;
  /** All combinations before this one are there. */
  #listed = 0;

  constructor(space: Space) {
    this.#space = space;
    this.#total = pointCount(space);
  }

  /** There is no other point. */
  get isComplete(): boolean {
    return this.#keys.size >= this.#total;
  }

  has(point: Point): boolean {
    return this.#keys.has(pointKey(this.#space, point));
  }

  /** Says whether it is new. */
  add(point: Point): boolean {
    const before = this.#keys.size;
    this.#keys.add(pointKey(this.#space, point));
    return this.#keys.size > before;
  }

  /** A point that was not proposed yet, as drawn; else the first of a small space; undefined: there is none. */
  fresh(draw: () => Point): Point | undefined {
    if (this.isComplete) return undefined;
    let point = draw();
    for (let again = 0; again < redraws && this.has(point); again += 1) point = draw();
    if (this.has(point) && this.#total <= maxListed) point = this.#first() ?? point;
    this.add(point);
    return point;
  }

  #first(): Point | undefined {
    const values = this.#space.map((dimension) => valuesOf(dimension) ?? []);
    for (; this.#listed < this.#total; this.#listed += 1) {
      const point = combination(this.#space, values, this.#listed);
      if (!this.has(point)) return point;
    }
    return undefined;
  }
}
