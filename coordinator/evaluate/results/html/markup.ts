/** HTML or SVG that is safe to put into a page: only {@link html} and {@link trusted} make it. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Markup | string | number | undefined | readonly Part[];

/** A template whose holes are escaped, unless they are markup themselves. Lists are joined, undefined is nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(strings.map((text, i) => text + (i < parts.length ? textOf(parts[i]) : "")).join(""));
}

/** Text of our own that is markup already, such as a style sheet. */
export function trusted(text: string): Markup {
  return new Markup(text);
}

function textOf(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Markup) return part.text;
  if (typeof part === "string" || typeof part === "number") return escapeHtml(String(part));
  return part.map(textOf).join("");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Text for content and for quoted attributes. Characters that no page may hold, and those that turn the direction of the
 * text after them, are shown as U+FFFD.
 */
function escapeHtml(text: string): string {
  return text
    .replace(/[^\t\n\r\P{Cc}]|[\u202a-\u202e\u2066-\u2069\ufffe\uffff]|\p{Cs}/gu, "\ufffd")
    .replace(/[&<>"']/g, (found) => entities[found] ?? found);
}
