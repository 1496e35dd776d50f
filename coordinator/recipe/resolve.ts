import type { ParameterValue } from "../../shared/methods/parameter.js";
import type { FilterSetting, GradientSetting, ScalarSetting, Setting } from "./recipe.js";

/** The place of a tensor's layer among the layers of the output: the first has index 0, the last `count - 1`. */
export interface LayerPosition {
  readonly index: number;
  readonly count: number;
}

/**
 * The value of a parameter for one tensor, from its settings in the order of precedence: a list of filters that does
 * not match the tensor passes it on to the next setting. Undefined when there is none left.
 */
export function resolveSettings(
  settings: readonly Setting[],
  tensorName: string,
  layer: LayerPosition | undefined,
): ParameterValue | undefined {
  for (const setting of settings) {
    const matching = setting.kind === "filters" ? firstMatch(setting, tensorName) : setting;
    if (matching?.kind === "scalar") return matching.value;
    if (matching?.kind === "gradient") return alongGradient(matching.values, layer);
  }
  return undefined;
}

/** A filter matches by plain substring: no wildcards, no case folding, `"*"` being the one exception. */
function firstMatch(setting: FilterSetting, tensorName: string): ScalarSetting | GradientSetting | undefined {
  return setting.entries.find(({ filter }) => filter === undefined || filter === "*" || tensorName.includes(filter))
    ?.setting;
}

/**
 * The value at a layer, the first value belonging to the first layer and the last one to the last. As in mergekit, the
 * only layer of a model takes the last value, and tensors outside the layers (embedding, final norm, head) the first.
 */
export function alongGradient(values: readonly number[], layer: LayerPosition | undefined): number {
  const progress = layer === undefined ? 0 : layer.count === 1 ? 1 : layer.index / (layer.count - 1);
  const place = progress * (values.length - 1);
  const before = Math.floor(place);
  const after = Math.min(values.length - 1, before + 1);
  const fraction = place - before;
  return (1 - fraction) * (values[before] ?? Number.NaN) + fraction * (values[after] ?? Number.NaN);
}
