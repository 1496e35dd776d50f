import { type Dimension, type ParameterValue, valueAt } from "../../space.js";
import { combination, valuesOf } from "../finite.js";
import { numberOption } from "../options.js";
import { rolling } from "../rolling.js";
import type { SearchKind } from "../searching.js";

/** A grid of more points is a mistake: at a trial a second it would take a day. */
export const maxGridPoints = 100_000;

export const grid: SearchKind = {
  name: "grid",
  summary: "Every combination of some values of each dimension",
  options: {
    // Of ranges without steps, both ends among them. Steps and choices are tried in full.
    levels: { kind: "integer", default: 5, low: 2, high: 1000 },
  },
  refuses({ space }, options) {
    const counts = gridOf(space, numberOption(options, "levels")).map(({ length }) => length);
    const points = product(counts);
    if (points <= maxGridPoints) return undefined;
    const shown = points < 1e15 ? points.toLocaleString("en") : points.toExponential(1);
    return `The grid has ${shown} points (${summary(counts)}), more than ${maxGridPoints.toLocaleString("en")}: give fewer levels, longer steps or fewer dimensions, or search by "sobol" or "tpe"`;
  },
  *search(context, options) {
    const { space } = context;
    const values = gridOf(space, numberOption(options, "levels"));
    const points = product(values.map(({ length }) => length));
    let next = 0;
    yield* rolling(context, () => (next < points ? { point: combination(space, values, next++) } : undefined));
    return undefined;
  },
};

function gridOf(space: readonly Dimension[], levels: number): readonly (readonly ParameterValue[])[] {
  return space.map(
    (dimension) =>
      valuesOf(dimension) ?? Array.from({ length: levels }, (_, i) => valueAt(dimension, i / (levels - 1))),
  );
}

function product(counts: readonly number[]): number {
  return counts.reduce((total, count) => total * count, 1);
}

/** "5 × 5 × 3", or its beginning. */
function summary(counts: readonly number[]): string {
  return counts.length <= 6
    ? counts.join(" × ")
    : `${counts.slice(0, 5).join(" × ")} × … in ${counts.length} dimensions`;
}
