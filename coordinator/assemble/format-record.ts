import { formatChecked } from "./checked-line.js";
import { encodeNumber } from "./journal-records.js";
import type { JournalRecord } from "./parse-record.js";

/** A record as one line of JSON, line break included. */
export function formatRecord(record: JournalRecord): string {
  const text = JSON.stringify(record, (_, value: unknown) => (typeof value === "number" ? encodeNumber(value) : value));
  return `${formatChecked(text)}\n`;
}
