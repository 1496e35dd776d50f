import type { Position } from "../recipe.js";

/** A YAML document as plain data with positions: no tags, no aliases, no two entries with one key. */
export type YamlNode = YamlScalar | YamlList | YamlMapping;

export interface YamlScalar {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  readonly at: Position;
}

export interface YamlList {
  readonly kind: "list";
  readonly items: readonly YamlNode[];
  readonly at: Position;
}

export interface YamlMapping {
  readonly kind: "mapping";
  readonly entries: ReadonlyMap<string, YamlEntry>;
  readonly at: Position;
}

export interface YamlEntry {
  readonly keyAt: Position;
  readonly value: YamlNode;
}

/** From an offset in the text to the place that an editor shows. */
export type Locate = (offset: number) => Position;

/** A decimal number in quotes; mergekit reads those as numbers too. */
const numeral = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;

/** `0.5` and `"0.5"` as a number, which may be infinite or NaN; undefined for everything else. */
export function numberOf(node: YamlNode): number | undefined {
  if (node.kind !== "scalar") return undefined;
  if (typeof node.value === "string" && numeral.test(node.value.trim())) return Number(node.value);
  return typeof node.value === "number" ? node.value : undefined;
}

export function isNull(node: YamlNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

/** What YAML 1.1, which mergekit reads, takes for a boolean, and the numbers that Python does. */
const booleanWords: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["yes", true],
  ["on", true],
  ["1", true],
  ["false", false],
  ["no", false],
  ["off", false],
  ["0", false],
]);

export function asBoolean(value: string | number | boolean): boolean | undefined {
  return booleanWords.get(String(value).toLowerCase());
}
