import { stat } from "node:fs/promises";
import { join } from "node:path";
import { plannedFiles, readManifest } from "../../assemble/manifest.js";
import type { OpenModel } from "../../plan/open-models.js";
import type { Plan } from "../../plan/types.js";
import { gatesName } from "./gates-file.js";

/**
 * Whether gates in an output may be of the base as it is now. Training leaves headers as they are, so times tell: weights
 * that were written after the gates are others. Those on a server have versions instead.
 */
export async function mayHold(output: string, base: OpenModel, plan: Plan, place: number): Promise<boolean> {
  if (plan.models[place]?.origin === undefined) {
    const gates = await stat(join(output, gatesName)).catch(() => undefined);
    return gates !== undefined && base.modifiedMs.every((ms) => ms <= gates.mtimeMs);
  }
  const manifest = await readManifest(output).catch(() => undefined);
  const before = manifest?.models.find(({ name }) => name === base.name)?.files ?? [];
  return plannedFiles(plan, place).every(({ name, version }) => {
    const known = before.find((file) => file.name === name);
    return known !== undefined && known.version === version;
  });
}
