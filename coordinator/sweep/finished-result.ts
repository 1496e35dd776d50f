import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SweepJob } from "./job.js";
import type { SweepResult } from "./result.js";
import { fromJson } from "./store/json.js";
import { type SweepStore, sweepFiles } from "./store/store.js";

/** What a sweep that is only to be finished came to; undefined where there is something left to do. */
export async function finishedResult(
  { onlyUnfinished, onEvent }: Pick<SweepJob, "onlyUnfinished" | "onEvent">,
  { folder, state }: Pick<SweepStore, "folder" | "state">,
): Promise<SweepResult | undefined> {
  if (onlyUnfinished !== true || state.state !== "done") return undefined;
  const result = await readResult(join(folder, sweepFiles.result));
  if (result !== undefined) {
    onEvent?.({ type: "note", message: "the sweep is finished: nothing was run" });
    onEvent?.({ type: "done", result });
  }
  return result;
}

/** Undefined where it is not to be read: then it is made again. */
async function readResult(path: string): Promise<SweepResult | undefined> {
  try {
    return fromJson(await readFile(path, "utf8")) as SweepResult;
  } catch {
    return undefined;
  }
}
