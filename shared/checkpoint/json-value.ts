import { formatCount, quote } from "../quote.js";
import type { JsonScanner } from "./json-scanner.js";

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Nesting allowed in a config or an index; published ones stay under 10. It keeps recursion off the stack's end. */
const maxDepth = 64;

/** Values allowed in one config or index, outside the weight map; the largest published configs have some 10,000. */
const maxValues = 1_000_000;

/** Longest string, such as a chat template kept in a config. */
const maxStringBytes = 16 << 20;
const maxNumberBytes = 64;

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** The last three are Python's, which writes them by default; published configs have `"time_step_limit": [0, Infinity]`. */
const words: ReadonlyMap<string, JsonValue> = new Map<string, JsonValue>([
  ["true", true],
  ["false", false],
  ["null", null],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/** How to read JSON that is not ours. */
export type JsonValueOptions = {
  /** What a key that comes twice does. Readers disagree on which one counts, so where it matters it is refused. */
  readonly duplicateKeys: "refuse" | "last wins";
};

/** Reads any one JSON value, with bounds on its depth and size. `__proto__` is a key like any other. */
export function readJsonValue(scanner: JsonScanner, options: JsonValueOptions): JsonValue {
  let values = 0;
  return readValue(0);

  function readValue(depth: number): JsonValue {
    const next = scanner.peek();
    values += 1;
    if (values > maxValues) throw scanner.problem(`has more than ${formatCount(maxValues)} values`);
    if (depth > maxDepth) throw scanner.problem(`is nested more than ${maxDepth} deep`);
    if (next === 0x7b) return readObject(depth + 1);
    if (next === 0x5b) return readArray(depth + 1);
    if (next === 0x22) return scanner.string(maxStringBytes);
    const word = scanner.word(maxNumberBytes);
    const value = words.get(word);
    if (value !== undefined) return value;
    if (!number.test(word)) throw scanner.problem(`has ${quote(word)}, which is not a value`);
    return Number(word);
  }

  function readObject(depth: number): JsonObject {
    const object: Record<string, JsonValue> = {};
    scanner.expect(0x7b);
    if (scanner.skip(0x7d)) return object;
    do {
      const key = scanner.string(maxStringBytes);
      if (options.duplicateKeys === "refuse" && Object.hasOwn(object, key)) {
        throw scanner.problem(`has the key ${quote(key)} twice`);
      }
      scanner.expect(0x3a);
      const value = readValue(depth);
      // Plain assignment would call the setter that every object inherits.
      if (key === "__proto__") {
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      } else object[key] = value;
    } while (scanner.another(0x7d));
    return object;
  }

  function readArray(depth: number): JsonValue[] {
    const array: JsonValue[] = [];
    scanner.expect(0x5b);
    if (scanner.skip(0x5d)) return array;
    do array.push(readValue(depth));
    while (scanner.another(0x5d));
    return array;
  }
}
