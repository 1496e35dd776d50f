import { quote } from "../../shared/quote.js";

/** Text that another machine told, as one line that no terminal acts on: what is invisible becomes an escape. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (found) => quote(found).slice(1, -1));
}

/** The same with its line breaks. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
