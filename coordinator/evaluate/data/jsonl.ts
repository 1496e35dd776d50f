import { JsonScanner } from "../../../shared/checkpoint/json-scanner.js";
import { readJsonValue } from "../../../shared/checkpoint/json-value.js";
import { formatCount, quote } from "../../../shared/quote.js";
import type { Row } from "../types.js";
import type { RowBudget } from "./budget.js";
import { dataError } from "./complain.js";
import { maxFields } from "./limits.js";
import { type Line, readLines } from "./lines.js";

/** Rows of JSON Lines: an object on each line that is not blank. */
export async function readJsonLines(path: string, budget: RowBudget): Promise<readonly Row[]> {
  const rows: Row[] = [];
  if (budget.remaining <= 0) return rows;
  for await (const line of readLines(path, budget.limits)) {
    if (line.text.trim() === "") continue;
    const place = `${path}:${line.number}`;
    budget.spend(place, 1, line.bytes);
    rows.push({ fields: fieldsOf(path, line), place });
    if (budget.remaining <= 0) break;
  }
  return rows;
}

function fieldsOf(path: string, line: Line): Row["fields"] {
  const place = `${path}:${line.number}`;
  const value = parse(path, line);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw dataError(`${place}:1`, `A row must be a JSON object, found ${describe(value)}`);
  }
  const fields = value as Row["fields"];
  const count = Object.keys(fields).length;
  if (count > maxFields) {
    throw dataError(
      place,
      `The row has ${formatCount(count)} fields, more than the limit of ${formatCount(maxFields)}`,
    );
  }
  return fields;
}

function parse(path: string, line: Line): unknown {
  try {
    return JSON.parse(line.text);
  } catch (error) {
    locate(path, line);
    // What our own scanner can read and the engine cannot: NaN and infinities, which Python writes.
    const reason = error instanceof Error ? error.message : String(error);
    throw dataError(`${path}:${line.number}`, `Not valid JSON: ${reason}`, error);
  }
}

/** Throws the error with the column where the text stops being JSON; the engine's own messages often have none. */
function locate(path: string, { number, text }: Line): void {
  const bytes = Buffer.from(text);
  const scanner = new JsonScanner(bytes, (problem, at) => {
    const column = bytes.toString("utf8", 0, at).length + 1;
    return dataError(`${path}:${number}:${column}`, `Not valid JSON: the line ${problem}`);
  });
  readJsonValue(scanner, { duplicateKeys: "last wins" });
  if (scanner.peek() !== -1) throw scanner.problem("goes on after its object");
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "string") return `the string ${quote(value)}`;
  return value === null ? "null" : `${String(value)}`;
}
