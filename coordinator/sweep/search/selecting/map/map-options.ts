import { quoteList } from "../../../../../shared/quote.js";
import type { Space } from "../../../space.js";
import { numberOption } from "../../options.js";
import type { OptionValues } from "../../searching.js";
import { linkNames } from "./link.js";

/**
 * A quadratic of 16 numbers has 153 unknowns and wants 306 trials, and its fits keep the coordinator busy for seconds.
 * Beyond, a search that adapts spends the trials better.
 */
export const maxMapDimensions = 16;

/** What the variants of MAP have in common. */
export const mapOptions = {
  /** What the quadratic goes through: `auto` takes a sigmoid for accuracies, softplus for losses. */
  link: { kind: "choice", default: "auto", values: linkNames },
  /** Points of the predicted front that are measured. */
  confirm: { kind: "integer", default: 16, low: 1, high: 10_000 },
} as const;

/** Why quadratics cannot be fitted over a space; undefined if they can. */
export function refusesQuadratic(space: Space, name: string): string | undefined {
  const choices = space.filter(({ kind }) => kind === "choice");
  if (choices.length > 0) {
    return `${name} fits quadratics, and ${quoteList(choices.map((dimension) => dimension.name))} has choices, which have no order: give it a range, or take nsga-ii`;
  }
  if (space.length <= maxMapDimensions) return undefined;
  return `${name} fits quadratics of at most ${maxMapDimensions} numbers, and this recipe has ${space.length}: search fewer, or take map-nested or nsga-ii`;
}

export function settingsOf(options: OptionValues): { readonly link: string; readonly confirm: number } {
  return { link: String(options["link"]), confirm: numberOption(options, "confirm") };
}
