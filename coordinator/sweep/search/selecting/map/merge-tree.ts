import { quote } from "../../../../../shared/quote.js";
import {
  coordinateOf,
  type ParameterValue,
  type Point,
  type RangeDimension,
  type Space,
  valueAt,
} from "../../../space.js";
import type { SearchContext } from "../../searching.js";
import type { Domain } from "./confirm.js";

/** A model, or a merge of models, that pairs are made of. */
export interface Branch {
  /** For people. */
  readonly name: string;
  /** Coefficients at the scale 1, by dimension. */
  readonly values: Readonly<Record<string, number>>;
  /** Of the tasks that it is for. */
  readonly objectives: readonly number[];
}

type Problem = Pick<SearchContext, "space" | "objectives" | "objectiveTasks" | "experts">;

/** Of each objective the model that is its task's expert. */
function expertsByObjective({ objectives, objectiveTasks = [], experts }: Problem): (string | undefined)[] {
  return Array.from({ length: objectives }, (_, objective) => experts.get(objectiveTasks[objective] ?? ""));
}

/** The models, each with the objectives whose expert it is, alone at the end of its range. */
export function leavesOf(problem: Problem): Branch[] {
  const experts = expertsByObjective(problem);
  return problem.space.flatMap(({ name, model = "" }, i) => {
    const dimension = problem.space[i];
    const objectives = [...experts.keys()].filter((objective) => experts[objective] === model);
    return dimension?.kind === "range" ? [{ name: model, values: { [name]: dimension.high }, objectives }] : [];
  });
}

/** A larger scale than 1 is for merges whose models turn out too weak among others. */
const largestScale = 1.5;

/** The plane of two branches' scales, the other models left out. */
export function planeOf(space: Space, pair: readonly [Branch, Branch]): Domain {
  const ranges = space.filter((dimension) => dimension.kind === "range");
  const scales: Space = pair.map(({ name, values }) => {
    return { kind: "range", name, low: 0, high: reachOf(ranges, values), scale: "linear" };
  });
  return {
    space: scales,
    pointAt: (unit) =>
      combined(
        ranges,
        pair,
        scales.map((scale, i) => Number(valueAt(scale, unit[i] ?? 0))),
      ),
  };
}

/** One branch of two at these scales. */
export function joined(space: Space, pair: readonly [Branch, Branch], scales: readonly number[]): Branch {
  const ranges = space.filter((dimension) => dimension.kind === "range");
  const values = Object.entries(combined(ranges, pair, scales)).filter(([, value]) => value !== 0);
  return {
    name: pair.map(({ name }) => name).join(" + "),
    values: Object.fromEntries(values.map(([name, value]) => [name, Number(value)])),
    objectives: pair.flatMap(({ objectives }) => objectives),
  };
}

function combined(ranges: readonly RangeDimension[], pair: readonly Branch[], scales: readonly number[]): Point {
  return Object.fromEntries(
    ranges.map((dimension) => {
      const value = pair.reduce((sum, { values }, i) => sum + (scales[i] ?? 0) * (values[dimension.name] ?? 0), 0);
      return [dimension.name, nearestValue(dimension, value)];
    }),
  );
}

/** In the range, and on one of its steps if it has any. */
function nearestValue(dimension: RangeDimension, value: number): ParameterValue {
  if (dimension.step !== undefined) return valueAt(dimension, coordinateOf(dimension, value));
  return Math.min(dimension.high, Math.max(dimension.low, value));
}

/** How far a branch can be scaled before a coefficient leaves its range; a model by itself to the end of it. */
function reachOf(ranges: readonly RangeDimension[], values: Branch["values"]): number {
  const limits = ranges.flatMap(({ name, low, high }) => {
    const value = values[name] ?? 0;
    return value === 0 ? [] : [(value > 0 ? high : low) / value];
  });
  return Math.min(largestScale, ...limits);
}

/** Why models cannot be merged in pairs; undefined if they can. */
export function refusesTree(problem: Problem): string | undefined {
  const { space } = problem;
  if (space.length < 2)
    return `map-nested merges models in pairs, and this recipe has ${space.length} to weigh: take map`;
  for (const dimension of space) {
    const { name, model } = dimension;
    if (model === undefined || dimension.kind !== "range" || dimension.scale !== "linear") {
      return `map-nested weighs models, and ${quote(name)} is something else: search only a range for the weight of each model, such as {range: [0, 1]}`;
    }
    if (dimension.low > 0 || dimension.high <= 0) {
      return `map-nested needs ${quote(name)} to reach from 0, where the model is left out, to more; its range is ${dimension.low} to ${dimension.high}`;
    }
    if (space.filter((other) => other.model === model).length > 1) {
      return `map-nested needs one weight for each model, and ${quote(model)} has several: search it without groups`;
    }
  }
  const models = new Set(expertsByObjective(problem));
  const without = space.find(({ model }) => !models.has(model));
  const stray = models.has(undefined) || [...models].some((model) => !space.some((one) => one.model === model));
  if (without === undefined && !stray) return undefined;
  const which =
    without?.model === undefined
      ? "some objective has no model that is searched"
      : `${quote(without.model)} has no objective`;
  return `map-nested needs for each model an objective of its own task, and ${which}: give one objective of each task, and tasks.experts to say whose expert each model is`;
}
