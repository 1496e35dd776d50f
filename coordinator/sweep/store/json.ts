import { encodeNumber, oddNumbers } from "../../assemble/journal-records.js";

/** As JSON, in which NaN and infinities are words. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "number" ? encodeNumber(part) : part), indent);
}

/** Back from {@link toJson}. A text that is one of its words becomes a number too. */
export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, part: unknown) => (typeof part === "string" ? (oddNumbers.get(part) ?? part) : part));
}
