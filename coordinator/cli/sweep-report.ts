import { join, resolve } from "node:path";
import { reportFiles, writeSweepReport, writeTrialsParquet } from "../sweep/report/report.js";
import type { Terminal } from "./terminal.js";

/** `amalgam sweep report`: what is known so far as a page and as a table. */
export async function reportSweep(
  folder: string,
  { json }: { readonly json: boolean },
  { stdout }: Terminal,
): Promise<number> {
  await writeSweepReport(folder);
  await writeTrialsParquet(folder);
  const files = Object.values(reportFiles).map((file) => join(resolve(folder), file));
  stdout.write(json ? `${JSON.stringify({ files })}\n` : files.map((file) => `${file}\n`).join(""));
  return 0;
}
