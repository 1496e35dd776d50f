import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { formatBytes } from "../../../shared/bytes.js";
import { openRegularFile } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote, quoteList } from "../../../shared/quote.js";
import type { Row } from "../types.js";
import type { RowBudget } from "./budget.js";
import { dataError } from "./complain.js";
import { maxFields } from "./limits.js";
import { readLines } from "./lines.js";

/** A record and the number of the line that it ends on. */
interface CsvRecord {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

/**
 * Rows of CSV (RFC 4180), or of tab-separated values, in which a quote is a character like any other. The first record
 * names the columns. Every value is text.
 */
export async function readCsv(path: string, format: "csv" | "tsv", budget: RowBudget): Promise<readonly Row[]> {
  const input = Readable.from(textOf(path));
  const parser = parse({
    bom: true,
    delimiter: format === "csv" ? "," : "\t",
    quote: format === "csv" ? '"' : null,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: budget.limits.recordBytes,
  });
  input.on("error", (error) => parser.destroy(error));
  input.pipe(parser);
  try {
    return await collect(path, parser as AsyncIterable<CsvRecord>, budget);
  } catch (error) {
    throw explain(path, error, budget.limits.recordBytes);
  } finally {
    input.destroy();
    parser.destroy();
  }
}

/** The file's text, piece by piece. The parser would put a replacement character for what is not UTF-8. */
async function* textOf(path: string): AsyncGenerator<string> {
  const { handle } = await openRegularFile(path);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    for await (const chunk of handle.createReadStream({ autoClose: false })) {
      yield utf8.decode(chunk as Buffer, { stream: true });
    }
    yield utf8.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Reading it again line by line fails with the number of the line.
    for await (const _ of readLines(path));
    throw error;
  } finally {
    await handle.close();
  }
}

async function collect(path: string, records: AsyncIterable<CsvRecord>, budget: RowBudget): Promise<readonly Row[]> {
  const rows: Row[] = [];
  let header: readonly string[] | undefined;
  for await (const { record, info } of records) {
    const place = `${path}:${firstLine(record, info.lines)}`;
    if (header === undefined) {
      header = record;
      assertHeader(header, place);
      continue;
    }
    if (budget.remaining <= 0) break;
    if (record.length !== header.length) {
      const columns = `${header.length} ${header.length === 1 ? "column" : "columns"} (${quoteList(header)})`;
      const fields = `${record.length} ${record.length === 1 ? "field" : "fields"}`;
      throw dataError(place, `The row has ${fields}, and the header names ${columns}`);
    }
    budget.spend(
      place,
      1,
      record.reduce((sum, field) => sum + field.length, 0),
    );
    rows.push({ fields: Object.fromEntries(header.map((name, index) => [name, record[index] ?? ""])), place });
  }
  if (header === undefined) throw dataError(path, "The file is empty, its first line must name the columns");
  return rows;
}

/** A field in quotes may go over several lines. */
function firstLine(record: readonly string[], lastLine: number): number {
  const breaks = record.reduce((sum, field) => sum + (field.match(/\r\n|\n|\r/g)?.length ?? 0), 0);
  return lastLine - breaks;
}

function assertHeader(header: readonly string[], place: string): void {
  if (header.length > maxFields) {
    const problem = `${formatCount(header.length)} columns, more than the limit of ${formatCount(maxFields)}`;
    throw dataError(place, `The header names ${problem}`);
  }
  const unnamed = header.findIndex((name) => name.trim() === "");
  if (unnamed >= 0) throw dataError(place, `Column ${unnamed + 1} of ${header.length} has no name`);
  const twice = header.find((name, index) => header.indexOf(name) < index);
  if (twice !== undefined) throw dataError(place, `Two columns are called ${quote(twice)}`);
}

function explain(path: string, error: unknown, maxRecordBytes: number): AmalgamError {
  if (!(error instanceof CsvError)) return AmalgamError.from(error);
  const place = `${path}:${String(error["lines"] ?? "?")}`;
  switch (error.code) {
    case "CSV_QUOTE_NOT_CLOSED":
      return dataError(place, "A quoted field is still open at the end of the file", error);
    case "CSV_INVALID_CLOSING_QUOTE":
      return dataError(place, 'A quoted field goes on after its closing quote, write "" for a quote inside', error);
    case "INVALID_OPENING_QUOTE":
      return dataError(place, "A quote stands in the middle of a field that has none at its start", error);
    case "CSV_MAX_RECORD_SIZE":
      return dataError(place, `The row is longer than ${formatBytes(maxRecordBytes)}`, error);
    default:
      return dataError(place, `Not valid CSV: ${error.message}`, error);
  }
}
