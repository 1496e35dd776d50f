import type { ParameterValue } from "../../shared/methods/parameter.js";
import { compileGlob, isGlob } from "./glob.js";
import type { FilterSetting, GradientSetting, ScalarSetting, Setting } from "./recipe.js";

/** The place of a tensor's layer among those of its slice of the output: the first has index 0, the last `count - 1`. */
export interface LayerPosition {
  readonly index: number;
  readonly count: number;
}

/** The value for one tensor, if there is one; `layer` is undefined for tensors outside the layers. */
export type Resolver = (tensorName: string, layer: LayerPosition | undefined) => ParameterValue | undefined;

/**
 * Finds a parameter's value among its settings in the order of precedence: a list of filters that does not match the
 * tensor passes it on to the next setting.
 */
export function resolverOf(settings: readonly Setting[]): Resolver {
  const resolvers = settings.map((setting) => (setting.kind === "filters" ? filtered(setting) : steady(setting)));
  return (tensorName, layer) => {
    for (const resolver of resolvers) {
      const value = resolver(tensorName, layer);
      if (value !== undefined) return value;
    }
    return undefined;
  };
}

function steady(setting: ScalarSetting | GradientSetting): Resolver {
  return setting.kind === "scalar" ? () => setting.value : (_, layer) => alongLayers(setting.values, layer);
}

function filtered({ entries }: FilterSetting): Resolver {
  const compiled = entries.map(({ filter, setting }) => ({ matches: matcherOf(filter), resolver: steady(setting) }));
  return (tensorName, layer) => compiled.find(({ matches }) => matches(tensorName))?.resolver(tensorName, layer);
}

/** A filter is a piece of the name, case and all, unless it is a glob. */
function matcherOf(filter: string | undefined): (tensorName: string) => boolean {
  if (filter === undefined || filter === "*") return () => true;
  return isGlob(filter) ? compileGlob(filter) : (tensorName) => tensorName.includes(filter);
}

/** Numbers with straight lines between them; of others the last one that the layer has reached, as in mergekit. */
function alongLayers(values: readonly ParameterValue[], layer: LayerPosition | undefined): ParameterValue | undefined {
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length === values.length) return alongGradient(numbers, layer);
  return values[Math.floor(progressOf(layer) * (values.length - 1))];
}

/**
 * The value at a layer, the first value belonging to the first layer and the last one to the last. As in mergekit, the
 * only layer of a slice takes the last value, and tensors outside the layers (embedding, final norm, head) the first.
 */
export function alongGradient(values: readonly number[], layer: LayerPosition | undefined): number {
  const place = progressOf(layer) * (values.length - 1);
  const before = Math.floor(place);
  const after = Math.min(values.length - 1, before + 1);
  const fraction = place - before;
  return (1 - fraction) * (values[before] ?? Number.NaN) + fraction * (values[after] ?? Number.NaN);
}

function progressOf(layer: LayerPosition | undefined): number {
  if (layer === undefined) return 0;
  return layer.count === 1 ? 1 : layer.index / (layer.count - 1);
}
