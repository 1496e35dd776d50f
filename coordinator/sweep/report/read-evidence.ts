import { join } from "node:path";
import type { ExampleRecord } from "../../evaluate/types.js";
import { type ExamplesLine, type ScoresLine, toRecords } from "../store/evidence-line.js";
import { LineLog } from "../store/line-log.js";
import { sweepFiles } from "../store/store.js";

/** What models made of the examples of some segments, by segment; also while a sweep adds to it. */
export async function readEvidence(
  folder: string,
  segments: ReadonlySet<string>,
): Promise<ReadonlyMap<string, readonly ExampleRecord[]>> {
  const sets = new Map<string, ExamplesLine>();
  const found = new Map<string, readonly ExampleRecord[]>();
  if (segments.size === 0) return found;
  await LineLog.read(join(folder, sweepFiles.examples), (json) => {
    const line = JSON.parse(json) as ExamplesLine | ScoresLine;
    if ("ids" in line) {
      sets.set(line.set, line);
      return;
    }
    const examples = sets.get(line.set);
    if (examples !== undefined && segments.has(line.segment)) found.set(line.segment, toRecords(examples, line));
  });
  return found;
}
