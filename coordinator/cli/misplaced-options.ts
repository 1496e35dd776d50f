import type { Command } from "commander";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

/**
 * Refuses options that stand before the name of a subcommand, such as `top` of `amalgam sweep`: they are those of the
 * command it belongs to, and nobody would look at them.
 */
export function refuseMisplacedOptions(action: Command): void {
  for (let parent = action.parent; parent !== null; parent = parent.parent) {
    const { options } = parent;
    const given = options.find((option) => parent?.getOptionValueSource(option.attributeName()) === "cli");
    if (given === undefined) continue;
    const name = given.long ?? given.flags;
    const isKnown = action.options.some(({ long }) => long === given.long);
    const remedy = isKnown ? `write it behind ${quote(action.name())}` : `${quote(action.name())} has no such option`;
    throw new AmalgamError("usage", `Cannot use ${quote(name)} before ${quote(action.name())}: ${remedy}`);
  }
}
