import { join, resolve } from "node:path";
import { reportFiles, writeSweepReport, writeTrialsParquet } from "../sweep/report/report.js";
import type { Terminal } from "./terminal.js";

/** `amalgam sweep report`: what is known so far as a page and as a table. */
export async function reportSweep(folder: string, { stdout }: Terminal): Promise<number> {
  await writeSweepReport(folder);
  await writeTrialsParquet(folder);
  for (const file of Object.values(reportFiles)) stdout.write(`${join(resolve(folder), file)}\n`);
  return 0;
}
