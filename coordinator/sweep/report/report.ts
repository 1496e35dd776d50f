import { rename } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory, writeDurably, writeError } from "../../assemble/durable.js";
import { replaceFile } from "../store/state.js";
import { readTrials, sweepFiles } from "../store/store.js";
import { toHtml } from "./page.js";
import { trialsParquet } from "./parquet.js";
import { reportOf } from "./report-data.js";
import { readSweepFolder } from "./sweep-folder.js";

export const reportFiles = { html: sweepFiles.report, parquet: sweepFiles.table } as const;

/** Makes `report.html` of what is on record in a sweep's folder, also while the sweep runs or after it was interrupted. */
export async function writeSweepReport(folder: string): Promise<void> {
  const sweep = await readSweepFolder(folder);
  await replaceFile(join(folder, reportFiles.html), toHtml(sweep, await reportOf(sweep)));
}

/** Makes `trials.parquet`, see {@link trialsParquet}. */
export async function writeTrialsParquet(folder: string): Promise<void> {
  const path = join(folder, reportFiles.parquet);
  const bytes = trialsParquet(await readTrials(folder));
  try {
    await writeDurably(`${path}.partial`, bytes);
    await rename(`${path}.partial`, path);
    await syncDirectory(folder);
  } catch (error) {
    throw writeError(error, "write", path);
  }
}
