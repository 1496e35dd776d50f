import type { YamlNode } from "../../recipe/yaml/node.js";
import { type Dimension, type ParameterValue, type Point, startOf } from "../space.js";
import type { Place } from "./places.js";
import { type Path, pathKey, withNodes } from "./tree.js";

/** A place of a recipe with the dimensions whose values it gets. */
export type Slot = { readonly path: Path; readonly place: Place } & (
  | { readonly kind: "value"; readonly dimension: Dimension }
  /** A list of filters. */
  | { readonly kind: "filters"; readonly entries: readonly SlotEntry[] }
);

export interface SlotEntry {
  /** Undefined: whatever is left. */
  readonly filter: string | undefined;
  readonly dimension: Dimension;
}

export function valueIn(point: Point, dimension: Dimension): ParameterValue {
  return point[dimension.name] ?? startOf(dimension);
}

/** The recipe at a point, as a tree in which every value stands where its author put the dimension. */
export function treeAt(recipe: YamlNode, slots: readonly Slot[], point: Point): YamlNode {
  return withNodes(recipe, new Map(slots.map((slot) => [pathKey(slot.path), nodeOf(slot, point)])));
}

function nodeOf(slot: Slot, point: Point): YamlNode {
  const { at } = slot.place;
  const scalar = (value: ParameterValue): YamlNode => ({ kind: "scalar", value, at });
  if (slot.kind === "value") return scalar(valueIn(point, slot.dimension));
  const items = slot.entries.map(({ filter, dimension }): YamlNode => {
    const value = ["value", { keyAt: at, value: scalar(valueIn(point, dimension)) }] as const;
    if (filter === undefined) return { kind: "mapping", entries: new Map([value]), at };
    return { kind: "mapping", entries: new Map([["filter", { keyAt: at, value: scalar(filter) }], value]), at };
  });
  return { kind: "list", items, at };
}
