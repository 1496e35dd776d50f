import { quote, quoteList } from "../../shared/quote.js";
import { suggest } from "../../shared/suggest.js";
import type { YamlNode } from "./yaml/node.js";

/** All of the names, quoted. Only for names that we chose: a list from outside may be long. */
export function quoteAll(names: readonly string[]): string {
  return quoteList(names, names.length);
}

/** `, did you mean "weight"?`, or nothing when no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const meant = suggest(word, candidates);
  return meant === undefined ? "" : `, did you mean ${quote(meant)}?`;
}

/** `, did you mean "weight"?`, or all there is to choose from. */
export function didYouMeanOrOneOf(word: string, candidates: readonly string[]): string {
  return didYouMean(word, candidates) || `, expected one of ${quoteAll(candidates)}`;
}

/** What stands in the recipe where something else was expected: `the number 3`, `a list`. */
export function describe(node: YamlNode): string {
  return node.kind === "scalar" ? describeValue(node.value) : `a ${node.kind}`;
}

export function describeValue(value: number | boolean | string | null): string {
  if (value === null) return "nothing";
  if (typeof value === "string") return `the string ${quote(value)}`;
  return typeof value === "number" ? `the number ${value}` : String(value);
}
