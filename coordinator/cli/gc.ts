import { existsSync } from "node:fs";
import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { collectGarbage, type GarbageItem } from "../assemble/gc.js";
import { formatQuantity } from "../plan/report.js";
import { parseDuration } from "./duration.js";
import type { Terminal } from "./terminal.js";

export interface GcOptions {
  readonly olderThan?: string | undefined;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** `amalgam gc`: a line for each thing that was found, and what came of it. */
export async function gc(folders: readonly string[], options: GcOptions, terminal: Terminal): Promise<number> {
  const { olderThan, dryRun, json } = options;
  const { stdout, stderr } = terminal;
  const olderThanMs = olderThan === undefined ? undefined : parseDuration(olderThan);
  if (olderThan !== undefined && olderThanMs === undefined) {
    throw new AmalgamError("usage", `Cannot read age ${quote(olderThan)}: write one such as "12h" or "30d"`);
  }
  for (const folder of folders) {
    if (!existsSync(folder)) throw new AmalgamError("usage", `Cannot look into ${quote(folder)}: it is not there`);
  }
  const report = await collectGarbage(folders, { olderThanMs, dryRun });
  for (const warning of report.warnings) stderr.write(`${warning}\n`);
  if (json) stdout.write(`${JSON.stringify({ ...report, dryRun })}\n`);
  else {
    for (const item of report.items) stdout.write(`${lineOf(item, dryRun)}\n`);
    const gone = report.items.filter(({ isRemoved }) => isRemoved);
    const bytes = gone.reduce((total, item) => total + item.bytes, 0);
    const verb = dryRun ? "would be removed" : "removed";
    stdout.write(`${formatQuantity(gone.length, "folder")} ${verb}, ${formatBytes(bytes)}\n`);
  }
  return 0;
}

function lineOf({ path, bytes, isRemoved, reason }: GarbageItem, dryRun: boolean): string {
  const verb = isRemoved ? (dryRun ? "would remove" : "removed") : "kept";
  return `${verb} ${quote(path)} (${formatBytes(bytes)}): ${reason}`;
}
