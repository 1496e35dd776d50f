import type { OptionValues } from "./searching.js";

// Options arrive checked against their OptionSpec: a wrong kind here is a mistake of the search, not of its author.

/** A number that has a default. */
export function numberOption(options: OptionValues, name: string): number {
  const value = options[name];
  if (typeof value !== "number") throw new TypeError(`The option ${name} is not a number`);
  return value;
}

/** A number whose default follows from the problem. */
export function optionalNumber(options: OptionValues, name: string): number | undefined {
  return options[name] === undefined ? undefined : numberOption(options, name);
}

/** A switch. */
export function booleanOption(options: OptionValues, name: string): boolean {
  return options[name] === true;
}
