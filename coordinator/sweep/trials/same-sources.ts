import { stat } from "node:fs/promises";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { PlannedSource } from "../../plan/types.js";

/**
 * Fails with `checkpoint_changed` where a source is not what it was when its header was read: agents that hold it in
 * memory would not notice, and scores of two models would stand side by side.
 */
export async function assertSameSources(sources: readonly PlannedSource[]): Promise<void> {
  await Promise.all(sources.map((source) => assertSame(source)));
}

async function assertSame({ path, bytes, modifiedMs }: PlannedSource): Promise<void> {
  const now = await stat(path).catch(() => undefined);
  if (now?.size === bytes && now.mtimeMs === modifiedMs) return;
  const what = now === undefined ? "it is gone" : "it changed after the sweep began";
  throw new AmalgamError("checkpoint_changed", `Cannot try merges of ${quote(path)}: ${what}`, {
    details: { file: path },
  });
}
