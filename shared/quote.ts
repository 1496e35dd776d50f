/**
 * Longest text that `quote()` shows whole. Tensor names of published models end near 120 characters; a hostile one may
 * have thousands and must not fill a terminal or a log.
 */
const maxQuotedLength = 160;
const tailLength = 32;

/**
 * Text from outside as a JSON string, safe to print: quotes, control characters, line separators and everything
 * invisible (terminal escapes, text-direction overrides, zero-width and unpaired code units) become escapes. Long text
 * keeps its two ends: `"model.lay…weight" (5,000 characters)`.
 */
export function quote(text: string): string {
  if (text.length <= maxQuotedLength) return `"${escapeText(text)}"`;
  const head = escapeText(text.slice(0, maxQuotedLength - tailLength));
  return `"${head}…${escapeText(text.slice(-tailLength))}" (${formatCount(text.length)} characters)`;
}

/** As a shell reads it back. */
export function shellWord(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** `"a", "b" and 3 more`: the first few of many names, each quoted. */
export function quoteList(names: readonly string[], shown = 4): string {
  const quoted = names.slice(0, shown).map((name) => quote(name));
  const rest = names.length - quoted.length;
  return rest > 0 ? `${quoted.join(", ")} and ${formatCount(rest)} more` : quoted.join(", ");
}

/** `139583` → `"139,583"`, the same on every machine. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

const shortEscapes: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** Text that others have put together, such as the system's errors with a path in them, safe to print. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (found) => shortEscapes.get(found) ?? escapeUnits(found));
}

function escapeText(text: string): string {
  return text.replace(/["\\\p{C}\p{Zl}\p{Zp}]/gu, (found) => shortEscapes.get(found) ?? escapeUnits(found));
}

/** Each UTF-16 unit as `\uXXXX`, which is how JSON writes a character beyond the basic plane. */
function escapeUnits(text: string): string {
  let escaped = "";
  for (let i = 0; i < text.length; i++) escaped += `\\u${text.charCodeAt(i).toString(16).padStart(4, "0")}`;
  return escaped;
}
