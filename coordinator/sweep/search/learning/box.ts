import { quote, quoteList } from "../../../../shared/quote.js";
import type { Point, Space } from "../../space.js";
import { startOf } from "../../space.js";

/** Where coefficients may be: low[i] ≤ x[i] ≤ high[i]. */
export interface Box {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** The ranges of a space, in its own units. */
export function boxOf(space: Space): Box {
  return {
    low: Float64Array.from(space, (dimension) => (dimension.kind === "range" ? dimension.low : 0)),
    high: Float64Array.from(space, (dimension) => (dimension.kind === "range" ? dimension.high : 0)),
  };
}

export function unitBox(dimensions: number): Box {
  return { low: new Float64Array(dimensions), high: new Float64Array(dimensions).fill(1) };
}

/** The nearest place inside. */
export function intoBox({ low, high }: Box, x: Float64Array): Float64Array {
  return x.map((value, i) => Math.min(high[i] ?? value, Math.max(low[i] ?? value, value)));
}

/** What is in both the box and the cube of ± radius around a place that is inside the box. */
export function boxAround({ low, high }: Box, center: Float64Array, radius: number): Box {
  return {
    low: center.map((value, i) => Math.max(low[i] ?? value, value - radius)),
    high: center.map((value, i) => Math.min(high[i] ?? value, value + radius)),
  };
}

export function startIn(space: Space): Float64Array {
  return intoBox(
    boxOf(space),
    Float64Array.from(space, (dimension) => Number(startOf(dimension))),
  );
}

export function pointAt(space: Space, x: Float64Array): Point {
  return Object.fromEntries(space.map(({ name }, i) => [name, x[i] ?? 0]));
}

/** Why there are no derivatives along a space's dimensions; undefined where there are. */
export function notContinuous(space: Space): string | undefined {
  if (space.length === 0) return "the recipe has nothing that varies";
  const choices = space.filter(({ kind }) => kind === "choice").map(({ name }) => name);
  if (choices.length > 0) return `it follows slopes, and choices have none: ${quoteList(choices)}`;
  const stepped = space.find((dimension) => dimension.kind === "range" && dimension.step !== undefined);
  if (stepped === undefined) return undefined;
  return `it follows slopes, and ${quote(stepped.name)} moves in steps: leave out "step" or "integer"`;
}
