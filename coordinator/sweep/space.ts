/** A value that a sweep puts into a recipe. */
export type ParameterValue = number | string | boolean;

interface Named {
  /** As the author or the place in the recipe names it: "lambda", "rotated weight", "rotated weight 2". */
  readonly name: string;
  /** The value that a merge without a search would have; it is compared with what was found. Default: see startOf(). */
  readonly start?: ParameterValue;
  /** The model that it is a parameter of, as the recipe names it; undefined for parameters of the method or of several. */
  readonly model?: string;
  /** The group of layers that it is for, by its name; undefined for all layers. */
  readonly group?: string;
}

/** Numbers from low to high, both included. */
export interface RangeDimension extends Named {
  readonly kind: "range";
  readonly low: number;
  readonly high: number;
  /** `log`: equal ratios are equally far apart; both ends are positive. */
  readonly scale: "linear" | "log";
  /** Only low, low + step, low + 2 step… On a linear scale only. Whole numbers have the step 1. */
  readonly step?: number;
}

/** One of some values, which have no order. */
export interface ChoiceDimension extends Named {
  readonly kind: "choice";
  readonly values: readonly ParameterValue[];
}

export type Dimension = RangeDimension | ChoiceDimension;

/** What a sweep may vary. Names differ. */
export type Space = readonly Dimension[];

/** A value for every dimension, by name. */
export type Point = Readonly<Record<string, ParameterValue>>;

/** Places in the unit cube, one coordinate per dimension, to a point; coordinates outside count as the nearest inside. */
export function fromUnit(space: Space, unit: readonly number[]): Point {
  return Object.fromEntries(space.map((dimension, i) => [dimension.name, valueAt(dimension, unit[i] ?? 0)]));
}

/** The value at a coordinate of [0, 1]: choices have equal shares of it. */
export function valueAt(dimension: Dimension, coordinate: number): ParameterValue {
  const u = Math.min(1, Math.max(0, coordinate));
  if (dimension.kind === "choice") {
    const { values } = dimension;
    return values[Math.min(values.length - 1, Math.floor(u * values.length))] ?? 0;
  }
  const { low, high, scale, step } = dimension;
  if (u === 0) return low;
  const value = scale === "log" ? low * (high / low) ** u : low + u * (high - low);
  if (step === undefined) return Math.min(high, Math.max(low, value));
  const steps = Math.floor((high - low) / step + 1e-9);
  const place = Math.max(0, Math.min(steps, Math.round((value - low) / step)));
  return place === 0 ? low : Math.min(high, decimal(low + place * step));
}

/** The way back: a coordinate whose value is the given one. Of a choice, the middle of its share. */
export function coordinateOf(dimension: Dimension, value: ParameterValue): number {
  if (dimension.kind === "choice") {
    const place = dimension.values.indexOf(value);
    return (Math.max(0, place) + 0.5) / dimension.values.length;
  }
  const { low, high, scale } = dimension;
  if (high === low) return 0;
  const number = Math.min(high, Math.max(low, Number(value)));
  return scale === "log" ? Math.log(number / low) / Math.log(high / low) : (number - low) / (high - low);
}

export function toUnit(space: Space, point: Point): readonly number[] {
  return space.map((dimension) => coordinateOf(dimension, point[dimension.name] ?? startOf(dimension)));
}

/** What a dimension has when nobody searches: its author's `start`, else the middle of its range, else its first choice. */
export function startOf(dimension: Dimension): ParameterValue {
  if (dimension.start !== undefined) return dimension.start;
  return dimension.kind === "choice" ? (dimension.values[0] ?? 0) : valueAt(dimension, 0.5);
}

export function startPoint(space: Space): Point {
  return Object.fromEntries(space.map((dimension) => [dimension.name, startOf(dimension)]));
}

/** Equal for equal points of a space, whatever the order of their keys. */
export function pointKey(space: Space, point: Point): string {
  return JSON.stringify(space.map(({ name }) => point[name]));
}

/** 0.1 + 0.2 is to read as 0.3 in a recipe: 12 digits are more than a step has. */
function decimal(value: number): number {
  return Number(value.toPrecision(12));
}
