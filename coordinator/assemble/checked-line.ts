import { crc32 } from "node:zlib";

/** Ends every line: a check of the line's own text, so that a line that was half written is recognised. */
const checkPattern = /^(\{.*),"check":"([0-9a-f]{8})"\}$/s;

/** A JSON object with a check of its own text as its last field; no line break. `json`: of an object that has fields. */
export function formatChecked(json: string): string {
  const open = json.slice(0, -1);
  return `${open},"check":"${checkOf(open)}"}`;
}

/** The JSON that was given to {@link formatChecked}; undefined for a line that is not what was once written. */
export function parseChecked(line: string): string | undefined {
  const [, open = "", check] = checkPattern.exec(line) ?? [];
  return check !== undefined && checkOf(open) === check ? `${open}}` : undefined;
}

function checkOf(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
