import { createContext, Script } from "node:vm";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

/** A table of a published adapter takes milliseconds; an expression made to backtrack forever would take the process. */
const timeoutMs = 2_000;

const search = new Script(`
  const expressions = patterns.map((pattern) => new RegExp("^(?:.*\\\\.)?(?:" + pattern + ")$"));
  JSON.stringify(names.map((name) => expressions.findIndex((expression) => expression.test(name))));
`);

/**
 * For every name, the value of the first pattern that matches the name or the end of it after a dot; undefined when none
 * does. This is how PEFT reads `rank_pattern` and `alpha_pattern` (`get_pattern_key()`, 0.21). Patterns are Python's
 * regular expressions; what JavaScript reads otherwise (`(?P<…>)`, `\\Z`) is refused. Throws a `checkpoint_malformed` for
 * a pattern that is not an expression, or does not come to an end.
 */
export function matchPatterns<T>(
  patterns: ReadonlyMap<string, T>,
  names: readonly string[],
): ReadonlyMap<string, T | undefined> {
  if (patterns.size === 0) return new Map();
  const values = [...patterns.values()];
  // In a context of its own for its time limit only; what runs there is our script.
  const context = createContext({ patterns: [...patterns.keys()], names });
  try {
    const places = JSON.parse(String(search.runInContext(context, { timeout: timeoutMs }))) as readonly number[];
    return new Map(names.map((name, i) => [name, values[places[i] ?? -1]]));
  } catch (error) {
    const [first = ""] = patterns.keys();
    const problem = (error as Error).message;
    throw new AmalgamError(
      "checkpoint_malformed",
      `Cannot match the patterns of an adapter, the first of ${patterns.size} is ${quote(first)}: ${problem}`,
      { cause: error },
    );
  }
}
