import { type Architecture, recogniseArchitecture } from "../architecture/architecture.js";
import type { OpenModel } from "./open-models.js";

/** The architecture of each model. Models of one family are recognised once: they may have 100,000 tensors each. */
export function architecturesOf(models: readonly OpenModel[]): readonly Architecture[] {
  const known: { readonly model: OpenModel; readonly architecture: Architecture }[] = [];
  return models.map((model) => {
    const same = known.find((other) => isBuiltLike(model, other.model));
    if (same !== undefined) return same.architecture;
    const architecture = recogniseArchitecture(model.checkpoint.config, model.checkpoint.tensors);
    known.push({ model, architecture });
    return architecture;
  });
}

/** Same config, and the same names and shapes in the same order. */
function isBuiltLike({ checkpoint: a }: OpenModel, { checkpoint: b }: OpenModel): boolean {
  if (a.tensors.size !== b.tensors.size || JSON.stringify(a.config) !== JSON.stringify(b.config)) return false;
  if (a.tensors === b.tensors) return true;
  const others = b.tensors.values();
  for (const { name, shape } of a.tensors.values()) {
    const other = others.next().value;
    if (other?.name !== name || other.shape.length !== shape.length) return false;
    if (shape.some((dimension, i) => dimension !== other.shape[i])) return false;
  }
  return true;
}
