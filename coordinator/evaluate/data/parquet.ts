import type { Row } from "../types.js";
import type { RowBudget } from "./budget.js";
import { readInProcess } from "./parquet-process.js";

/**
 * Rows of a Parquet file. Only as many row groups are read as hold the wanted rows. Lists and structs become arrays and
 * objects, dates and timestamps ISO text, 64-bit integers numbers where they fit in 53 bits and bigints where not, bytes
 * that are no text `Uint8Array`s, and what is absent null.
 */
export async function readParquet(path: string, budget: RowBudget): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const task = { path, rows: budget.remaining, limits: budget.limits };
  await readInProcess(task, (chunk, bytes) => {
    budget.spend(path, chunk.length, bytes);
    for (const fields of chunk) rows.push({ fields, place: `${path}, row ${rows.length + 1}` });
  });
  return rows;
}
