import { formatBytes } from "../../shared/bytes.js";
import { verifyOutput } from "../inspect/verify.js";
import { formatQuantity } from "../plan/report.js";
import type { Terminal } from "./terminal.js";

/** `amalgam verify`: 0 when every byte is what the manifest says, else 1 and a line for each finding. */
export async function verify(directory: string, options: { json: boolean }, { stdout }: Terminal): Promise<number> {
  const report = await verifyOutput(directory);
  if (options.json) stdout.write(`${JSON.stringify(report)}\n`);
  else {
    for (const { problem } of report.findings) stdout.write(`${problem}\n`);
    const verdict = report.isSound ? "sound" : formatQuantity(report.findings.length, "finding");
    stdout.write(`${directory}: ${verdict}, ${formatQuantity(report.files, "file")}, ${formatBytes(report.bytes)}\n`);
  }
  return report.isSound ? 0 : 1;
}
