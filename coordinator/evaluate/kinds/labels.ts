import { quote, quoteList } from "../../../shared/quote.js";
import { suggest } from "../../../shared/suggest.js";
import type { Row } from "../types.js";
import { rowError } from "./mismatch.js";

/**
 * The class that a value of a row stands for: a number from 0, or a name. A text is a name where there is one like it,
 * else the number that it writes. `names` are in the order of the model's outputs; undefined where nobody gave any.
 */
export function classOf(value: unknown, names: readonly string[] | undefined, row: Row): number {
  if (typeof value === "string") {
    const named = names?.indexOf(value) ?? -1;
    if (named >= 0) return named;
  }
  const number = typeof value === "string" && /^\s*\d+\s*$/.test(value) ? Number(value) : value;
  const whole = typeof number === "bigint" ? Number(number) : number;
  if (typeof whole === "number" && Number.isInteger(whole) && whole >= 0) {
    if (names !== undefined && whole >= names.length) {
      throw rowError(row, `Class ${whole} is not one of the ${names.length} classes, which count from 0`);
    }
    return whole;
  }
  if (typeof value !== "string")
    throw rowError(row, `The class must be a number from 0 or a name, found ${String(value)}`);
  if (names === undefined) {
    throw rowError(row, `Class ${quote(value)} is a name, and neither the task ("labels") nor config.json has names`);
  }
  const near = suggest(value, names);
  const hint = near === undefined ? "" : `, did you mean ${quote(near)}?`;
  throw rowError(row, `Class ${quote(value)} is not among the classes ${quoteList(names, 8)}${hint}`);
}

/** Refuses a class that the model has no output for: it was trained for other ones. */
export function assertHasClass(label: number, classes: number, row: Row): void {
  if (label < classes) return;
  throw rowError(row, `Class ${label} has no output: the model has ${classes} classes, which count from 0`);
}
