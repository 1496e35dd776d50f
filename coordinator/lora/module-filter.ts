import { runInNewContext } from "node:vm";
import { AmalgamError } from "../../shared/errors.js";
import { quote, quoteList } from "../../shared/quote.js";

/** Longer than any sensible expression takes for a million names. */
const defaultLimitMs = 10_000;

/** A regular expression of a command line or a manifest; one that is none is a `usage` error. */
export function readExpression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new AmalgamError("usage", `Cannot use ${quote(text)} as an expression: ${(error as Error).message}`);
  }
}

/**
 * The modules that one of the expressions finds. Expressions and names may come from others, and some take until the end
 * of time together, such as `(a+)+$`: after the limit they are refused with `usage`.
 */
export function findModules(
  modules: readonly string[],
  expressions: readonly RegExp[],
  limitMs = defaultLimitMs,
): ReadonlySet<string> {
  const found = new Set<string>();
  if (expressions.length === 0) return found;
  const find = (): void => {
    for (const module of modules) {
      if (expressions.some((expression) => expression.test(module))) found.add(module);
    }
  };
  try {
    // Nothing else ends an expression that is at work on this thread.
    runInNewContext("find()", { find }, { timeout: limitMs });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    const shown = quoteList(expressions.map(({ source }) => source));
    throw new AmalgamError(
      "usage",
      `Cannot look for modules with ${shown}: it takes longer than ${limitMs / 1000} s, write it without repeats of repeats`,
    );
  }
  return found;
}
