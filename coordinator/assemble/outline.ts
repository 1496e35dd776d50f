import { constants } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Plan } from "../plan/types.js";
import { writeCompanions, writeIndex } from "./companions.js";
import { openOwn, writeFully } from "./durable.js";

/**
 * Writes what can be said of a plan's output before it is merged: its headers with holes behind them, configuration,
 * tokenizer and index. What builds on that output can be planned from it, to the digest that the output itself would give.
 * Makes `folder`, which takes no space for weights.
 */
export async function writeOutline(plan: Plan, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { name, header, bytes } of plan.files) {
    await using file = await openOwn(join(folder, name), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
    await writeFully(file, header, 0);
    await file.truncate(bytes);
  }
  await writeCompanions(plan, folder);
  await writeIndex(plan, folder);
}
