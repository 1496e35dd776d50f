import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { EvaluationResult } from "../types.js";
import { formatRecords, formatResults } from "./json.js";
import { toHtml } from "./report.js";

export const fileNames = { results: "results.json", records: "records.jsonl", report: "report.html" } as const;

/**
 * Writes results.json, records.jsonl and report.html into a folder, which is made where it is missing. Files of the same
 * names are replaced, results.json last: where it is, the others are whole and belong to it.
 *
 * @throws AmalgamError `io_failed` or `out_of_space` naming the folder
 */
export async function writeResults(directory: string, result: EvaluationResult): Promise<void> {
  const at = (name: string): string => join(directory, name);
  try {
    await mkdir(directory, { recursive: true });
    await rm(at(fileNames.results), { force: true });
    const lines = Readable.from(linesOf(result));
    await pipeline(lines, createWriteStream(at(fileNames.records)));
    await writeFile(at(fileNames.report), toHtml(result));
    const partial = at(`${fileNames.results}.partial`);
    await writeFile(partial, formatResults(result));
    await rename(partial, at(fileNames.results));
  } catch (reason) {
    const error = AmalgamError.from(reason);
    throw new AmalgamError(error.code, `Cannot write results to ${quote(directory)}: ${error.message}`, {
      cause: reason,
    });
  }
}

function* linesOf({ models }: EvaluationResult): Generator<string> {
  for (const model of models) yield* formatRecords(model);
}
