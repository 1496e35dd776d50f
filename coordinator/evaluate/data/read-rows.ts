import type { Row } from "../types.js";
import { RowBudget } from "./budget.js";
import { dataError } from "./complain.js";
import { readCsv } from "./csv.js";
import { readImageFolder } from "./image-folder.js";
import { readJsonLines } from "./jsonl.js";
import type { RowLimits } from "./limits.js";
import { readParquet } from "./parquet.js";
import type { DataSource } from "./source.js";
import { readTensorRows } from "./tensors.js";

export interface ReadRowsOptions {
  /** The first so many rows. Default: all, and an error beyond `maxRows`. */
  readonly limit?: number | undefined;
  /** Default: `rowLimits`. */
  readonly limits?: RowLimits | undefined;
}

/**
 * The rows of some data, those of the first file first. Each knows where it came from: `x.jsonl:7` or `x.parquet, row
 * 7`. A broken row is an error that names its place; data without any rows is one too.
 */
export async function readRows(source: DataSource, options: ReadRowsOptions = {}): Promise<readonly Row[]> {
  const budget = new RowBudget(options.limit, options.limits);
  const rows: Row[] = [];
  for (const path of source.paths) {
    if (budget.remaining <= 0) break;
    // Not a spread into push(): that takes an argument, and a piece of the stack, for each row.
    for (const row of await readFile(path, source, budget)) rows.push(row);
  }
  if (rows.length === 0) throw dataError(source.paths.join(", "), "There are no rows");
  return rows;
}

function readFile(path: string, { format }: DataSource, budget: RowBudget): Promise<readonly Row[]> {
  switch (format) {
    case "jsonl":
      return readJsonLines(path, budget);
    case "csv":
    case "tsv":
      return readCsv(path, format, budget);
    case "parquet":
      return readParquet(path, budget);
    case "safetensors":
      return readTensorRows(path, budget);
    case "images":
      return readImageFolder(path, budget);
  }
}
