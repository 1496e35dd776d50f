import { openCheckpoint } from "../../shared/checkpoint/open.js";
import { diffCheckpoints } from "../inspect/diff.js";
import { formatDiff } from "../inspect/format-diff.js";
import type { Terminal } from "./terminal.js";

/** `amalgam diff`: 0 when the checkpoints are equal bit for bit, else 1 and what differs by how much. */
export async function diff(a: string, b: string, options: { json: boolean }, { stdout }: Terminal): Promise<number> {
  const [left, right] = await Promise.all([openCheckpoint(a), openCheckpoint(b)]);
  const report = await diffCheckpoints(left, right);
  stdout.write(options.json ? `${JSON.stringify(report)}\n` : formatDiff(report));
  return report.totals.isEqual ? 0 : 1;
}
