/** What Python's `str.isspace` and `\s` take for white space: lm-evaluation-harness counts and cuts by it. */
const space = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const oneSpace = new RegExp(space, "u");
const spaces = new RegExp(`${space}+`, "u");

/** Pieces between white space, those before a leading and after a trailing one included: `len(re.split(r"\s+", text))`. */
export function countWords(text: string): number {
  return text.split(spaces).length;
}

/** A text without the white space at its end, and that white space. */
export function splitTrailingSpace(text: string): readonly [string, string] {
  let end = text.length;
  while (end > 0 && oneSpace.test(text.charAt(end - 1))) end--;
  return [text.slice(0, end), text.slice(end)];
}
