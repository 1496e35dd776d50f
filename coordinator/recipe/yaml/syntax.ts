import type { YAMLParseError } from "yaml";
import { printable, quote } from "../../../shared/quote.js";

/** What the library says in terms of its grammar, said in terms of the text. */
const rewordings: readonly (readonly [RegExp, string])[] = [
  [/^Nested mappings/, 'this value holds another key, check the indentation or quote it if ": " is part of it'],
  [/^Implicit (map )?keys/, 'this looks like a key without ": " and a value after it'],
  [/^With stringKeys/, "a key must be a plain word"],
  [/^Missing closing/, "a quoted string is still open here"],
  [/^Flow (map|sequence)/, "a list or mapping in brackets is still open here"],
];

/** A value that begins as Jinja does. */
const templateAtStart = /(?:[:,-]\s+|\[\s*)\{[{%#]/;

const quoted = /"[^"]*(?:"|$)|'[^']*(?:'|$)/g;

/** The library's own messages are shorter, but for what they quote. */
const maxProblemLength = 200;

/** The library's error in one line. */
export function describeSyntaxError(error: YAMLParseError, source: string): string {
  const before = source.slice(0, error.pos[1]);
  const line = before.slice(before.lastIndexOf("\n") + 1);
  if (templateAtStart.test(line.replace(quoted, '""'))) {
    return 'braces hold a mapping here, put a template in quotes: "{{ … }}"';
  }
  const reworded = rewordings.find(([pattern]) => pattern.test(error.message))?.[1];
  if (reworded !== undefined) return reworded;
  const [found = ""] = source.slice(...error.pos).split(/[\r\n]/, 1);
  if (error.code === "UNEXPECTED_TOKEN" && found !== "") return `${quote(found)} is not expected here`;
  const [problem = ""] = error.message.split(/[\r\n]/, 1);
  // It may quote the text, which may hold anything.
  return printable(problem.slice(0, 1).toLowerCase() + problem.slice(1, maxProblemLength));
}
