import type { SearchKind } from "../../../../../../coordinator/sweep/search/searching.js";
import { type Problem, runSearch } from "../../../../../support/run-search.js";

/** Of the best losses that a search finds by these seeds. */
export function medianBest(
  kind: SearchKind,
  problem: Problem,
  options = {},
  seeds: readonly number[] = [0, 1, 2],
): number {
  const found = seeds.map((seed) => runSearch(kind, { ...problem, seed }, options).best.loss);
  return found.toSorted((a, b) => a - b)[seeds.length >> 1] ?? Number.NaN;
}
