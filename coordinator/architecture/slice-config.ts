import { quote } from "../../shared/quote.js";
import type { Architecture, ArchitectureModule } from "./architecture.js";
import type { ConfigEdit } from "./config-edits.js";
import { countAt, objectAt } from "./config-value.js";
import { adjust, warnOfImplied } from "./layer-settings.js";

export interface SlicedConfig {
  readonly edits: readonly ConfigEdit[];
  /** What the config says of layers and cannot be made to say of the new ones, each a sentence. */
  readonly warnings: readonly string[];
}

/**
 * What config.json must say of a model whose layers are others than before: how many there are, and every list that has
 * an entry for each. `layers` has for each module the source layer of each layer of the output; a module without an
 * entry stays as it is.
 */
export function sliceConfig(
  config: unknown,
  architecture: Architecture,
  layers: readonly (readonly number[] | undefined)[],
): SlicedConfig {
  const edits: ConfigEdit[] = [];
  const warnings: string[] = [];
  const untouched: ArchitectureModule[] = [];
  for (const [i, module] of architecture.modules.entries()) {
    const picked = layers[i];
    if (picked === undefined || isAsBefore(picked, module.layers)) untouched.push(module);
    else {
      const sliced = sliceModule(config, architecture, module, picked);
      edits.push(...sliced.edits);
      warnings.push(...sliced.warnings);
    }
  }
  if (edits.length > 0) edits.push(...untouched.flatMap((module) => unsaidCount(module)));
  return { edits, warnings };
}

function isAsBefore(picked: readonly number[], layers: number): boolean {
  return picked.length === layers && picked.every((layer, i) => layer === i);
}

/** A decoder's depth that is not given is the encoder's, which is about to change. */
function unsaidCount({ layerCount, layerCounts, layers }: ArchitectureModule): readonly ConfigEdit[] {
  const isUnsaid = layerCount?.length === 1 && layerCounts.length === 0;
  return isUnsaid ? [{ path: layerCount, value: layers }] : [];
}

function sliceModule(
  config: unknown,
  { modelType, modules }: Architecture,
  module: ArchitectureModule,
  picked: readonly number[],
): SlicedConfig {
  const { layerCount, layers, name } = module;
  if (layerCount === undefined) {
    return {
      edits: [],
      warnings: [
        `The output has ${picked.length} layers in place of ${layers}: say so in its config.json by hand, since it is not known where for ${quote(modelType)}`,
      ],
    };
  }
  const paths = module.layerCounts.length > 0 ? module.layerCounts : [layerCount];
  const edits: ConfigEdit[] = paths.map((path) => ({ path, value: picked.length }));
  const warnings: string[] = [];
  const counts = [layers, countAt(config, layerCount) ?? layers];
  for (const section of sectionsOf(paths)) {
    const settings = objectAt(config, section) ?? {};
    for (const [key, value] of Object.entries(settings)) {
      if (paths.some((path) => isSamePath(path, [...section, key]))) continue;
      const adjustment = adjust({ key, value, settings, counts, picked });
      if (adjustment === undefined) continue;
      const owner = ownerOf(
        key,
        module,
        modules.filter((other) => other !== module && isDescribedIn(other, section)),
      );
      if (owner === "unclear") warnings.push(`${quote(key)} in config.json may be of ${quote(name)}: check it by hand`);
      else if (owner === "own" && "warning" in adjustment) warnings.push(adjustment.warning);
      else if (owner === "own" && "value" in adjustment)
        edits.push({ path: [...section, key], value: adjustment.value });
    }
  }
  const implied = warnOfImplied(modelType, objectAt(config, layerCount.slice(0, -1)) ?? {}, picked);
  return { edits, warnings: implied === undefined || name.startsWith("vision") ? warnings : [...warnings, implied] };
}

/** The objects that the paths lead into, each once. */
function sectionsOf(paths: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const sections = paths.map((path) => path.slice(0, -1));
  return sections.filter((section, i) => sections.findIndex((other) => isSamePath(other, section)) === i);
}

/** Encoder and decoder share one object in config.json, and settings are theirs by name, if at all. */
function ownerOf(
  key: string,
  module: ArchitectureModule,
  neighbours: readonly ArchitectureModule[],
): "own" | "other" | "unclear" {
  if (key.includes(module.name) || neighbours.length === 0) return "own";
  return neighbours.some(({ name }) => key.includes(name)) ? "other" : "unclear";
}

function isDescribedIn({ layerCount }: ArchitectureModule, section: readonly string[]): boolean {
  return layerCount !== undefined && isSamePath(layerCount.slice(0, -1), section);
}

function isSamePath(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i]);
}
