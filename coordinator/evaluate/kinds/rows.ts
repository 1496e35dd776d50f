import { quote } from "../../../shared/quote.js";
import { renderText } from "../tasks/render.js";
import type { DataSettings } from "../tasks/settings.js";
import type { ExampleRecord, Row, Task } from "../types.js";
import type { PrepareContext } from "./context.js";
import { rowError, taskError } from "./mismatch.js";

/** The rows of a task with one table of data. */
export async function rowsOf(task: Task, { data }: DataSettings, context: PrepareContext): Promise<readonly Row[]> {
  const rows = await context.readRows(data, { limit: task.limit });
  if (rows.length === 0) throw taskError(task, "There are no examples");
  return rows;
}

/** Each example's own id where the task names one, else its number. Two examples cannot share one. */
export function idsOf(rows: readonly Row[], { id }: DataSettings): readonly string[] {
  if (id === undefined) return rows.map((_, i) => String(i));
  const places = new Map<string, string>();
  return rows.map((row) => {
    const text = renderText(id, row);
    const earlier = places.get(text);
    if (earlier !== undefined) throw rowError(row, `Id ${quote(text)} is that of ${earlier} already`);
    places.set(text, row.place);
    return text;
  });
}

/** One record per example. */
export function recordsOf(
  ids: readonly string[],
  recordOf: (example: number) => Omit<ExampleRecord, "id">,
): readonly ExampleRecord[] {
  return ids.map((id, example) => ({ id, ...recordOf(example) }));
}
