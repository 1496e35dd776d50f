import { AmalgamError } from "../../shared/errors.js";
import type { Finisher } from "./job.js";
import { reportFiles, writeSweepReport, writeTrialsParquet } from "./report/report.js";

/** What is made of every finished sweep, in this order. */
export const finishers: readonly Finisher[] = [
  { file: reportFiles.html, write: writeSweepReport },
  { file: reportFiles.parquet, write: writeTrialsParquet },
];

/** Returns what could not be made, for people: the sweep is as good without. */
export async function finish(folder: string, all: readonly Finisher[]): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const { file, write } of all) {
    try {
      await write(folder);
    } catch (reason) {
      failed.push(`${file} was not made: ${AmalgamError.from(reason).message}`);
    }
  }
  return failed;
}
