import { dirname, resolve } from "node:path";
import { openCheckpoint } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { readTaskVectors, type TaskVectors } from "./task-vectors.js";
import type { SweepSpec } from "./types.js";

/** Lengths and angles of the task vectors of a sweep's recipe; undefined where its search does not ask for them. */
export async function taskVectorsOf(
  { template, search }: Pick<SweepSpec, "template" | "search">,
  signal: AbortSignal,
): Promise<TaskVectors | undefined> {
  if (search.kind.taskVectors !== true) return undefined;
  const opened = await Promise.all(
    template.models.map(async ({ name, isBase, copy }) => {
      const path = copy ?? resolve(dirname(template.file), name);
      return { name, isBase, checkpoint: await openCheckpoint(path, { signal }) };
    }),
  );
  const base = opened.find(({ isBase }) => isBase);
  if (base === undefined) {
    const remedy = 'add "base_model" to the recipe';
    throw new AmalgamError("usage", `Cannot search by ${quote(search.kind.name)} without a base model: ${remedy}`);
  }
  const models = opened.filter(({ isBase }) => !isBase);
  return readTaskVectors(base.checkpoint, models, signal);
}
