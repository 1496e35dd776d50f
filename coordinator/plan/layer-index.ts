import type { StageModel } from "./stage-model.js";

/** The names of one module's tensors by where they stand, each part in file order. */
export interface LayerIndex {
  readonly before: readonly string[];
  /** By layer. */
  readonly layers: readonly (readonly string[])[];
  readonly after: readonly string[];
}

const indices = new WeakMap<StageModel, readonly LayerIndex[]>();

export function layerIndexOf(model: StageModel, module: number): LayerIndex {
  let modules = indices.get(model);
  if (modules === undefined) {
    modules = indexLayers(model);
    indices.set(model, modules);
  }
  return modules[module] ?? { before: [], layers: [], after: [] };
}

function indexLayers({ architecture, names }: StageModel): readonly LayerIndex[] {
  const modules = architecture.modules.map(({ layers }) => ({
    before: [] as string[],
    layers: Array.from({ length: layers }, () => [] as string[]),
    after: [] as string[],
  }));
  for (const name of names()) {
    const place = architecture.place(name);
    const module = modules[place.module];
    if (place.part !== "layer") module?.[place.part].push(name);
    else module?.layers[place.layer ?? 0]?.push(name);
  }
  return modules;
}
