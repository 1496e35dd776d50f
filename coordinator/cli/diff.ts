import { openCheckpoint } from "../../shared/checkpoint/open.js";
import { diffCheckpoints } from "../inspect/diff.js";
import { formatDiff } from "../inspect/format-diff.js";
import { interruptible } from "./interrupt.js";
import { localModels } from "./local-models.js";
import type { Terminal } from "./terminal.js";

/** `amalgam diff`: 0 when the checkpoints are equal bit for bit, else 1 and what differs by how much. */
export async function diff(a: string, b: string, { json }: { json: boolean }, terminal: Terminal): Promise<number> {
  const copies = await interruptible((signal) => localModels([a, b], { json, signal }, terminal));
  const [left, right] = await Promise.all([openCheckpoint(copies[0]?.path ?? a), openCheckpoint(copies[1]?.path ?? b)]);
  const report = await diffCheckpoints(left, right);
  terminal.stdout.write(json ? `${JSON.stringify(report)}\n` : formatDiff(report));
  return report.totals.isEqual ? 0 : 1;
}
