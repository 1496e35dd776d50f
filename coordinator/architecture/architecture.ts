import { quote } from "../../shared/quote.js";
import { countAt, valueAt } from "./config-value.js";
import { families, textSections } from "./families.js";
import { inferStructure } from "./infer.js";
import { knownStructure } from "./known.js";
import { outermostIn } from "./stacks.js";
import type { ModuleStructure, Structure, TensorPlace } from "./structure.js";
import { tiesOf } from "./ties.js";
import { isBuffer, sideOf } from "./words.js";

export type { TensorPlace } from "./structure.js";

/** How a model is built: its stacks of layers, and what stands before and after them. */
export interface Architecture {
  /** `model_type` of config.json, in transformers' words; "unknown" where there is none. */
  readonly modelType: string;
  /** For the author: what was inferred from tensors' names alone, or where config.json and the tensors disagree. */
  readonly note: string | undefined;
  /** One for most models, called "default"; several for encoder–decoders and multimodal ones, in mergekit's order. */
  readonly modules: readonly ArchitectureModule[];
  /** Where a tensor stands. Every name gets an answer, also one that the model does not have. */
  place(name: string): TensorPlace;
  /** Groups of names that tied weights share: one that is stored may stand for those that are not. */
  readonly ties: readonly (readonly string[])[];
}

export type ArchitectureModule = ModuleStructure;

/** Recognises a model by its config.json, and where that does not help, by the names and shapes of its tensors. */
export function recogniseArchitecture(
  config: unknown,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): Architecture {
  const type = valueAt(config, ["model_type"]);
  const modelType = typeof type === "string" && type !== "" ? type : "unknown";
  const family = families.find(({ types }) => types.includes(modelType));
  const structure =
    family === undefined
      ? inferStructure(config, tensors, vocabularySize(config))
      : knownStructure(family, config, tensors);
  const place = placing(structure);
  return {
    modelType,
    note: noteOn(modelType, family !== undefined, config, structure),
    modules: structure.modules,
    place,
    ties: tiesOf(tensors.keys(), place, {
      head: family === undefined ? "lm_head.weight" : family.head,
      isEncoderDecoder: structure.modules.some(({ name }) => name === "shared"),
    }),
  };
}

/** The same tensor in another layer of its module; the name as it is for a tensor without a layer. */
export function nameInLayer(architecture: Architecture, name: string, layer: number): string {
  const { module, layer: current } = architecture.place(name);
  return current === undefined ? name : renumbered(architecture.modules[module], name, current, layer);
}

/**
 * The same tensor in a model whose module has so many layers: parts that predict further tokens are numbered on behind
 * the last one. The name as it is for any other tensor.
 */
export function nameBehindLayers(architecture: Architecture, name: string, layers: number): string {
  const { module: place, predictor } = architecture.place(name);
  const module = architecture.modules[place];
  if (predictor === undefined || module === undefined) return name;
  return renumbered(module, name, module.layers + predictor, layers + predictor);
}

function renumbered(module: ArchitectureModule | undefined, name: string, from: number, to: number): string {
  const stack = module?.stack ?? "";
  return `${stack}${to}${name.slice(stack.length + String(from).length)}`;
}

function placing({ modules, moduleOf, first, tokens }: Structure): (name: string) => TensorPlace {
  const stacks = new Map(
    modules.flatMap(({ stack }, module) => (stack === undefined ? [] : [[stack, module] as const])),
  );
  return (name) => {
    const numbered = outermostIn(name, stacks);
    const module = numbered === undefined ? moduleOf(name) : (stacks.get(numbered.prefix) ?? 0);
    const optional = isBuffer(name);
    if (numbered !== undefined && !isPredictor(modules[module], numbered.number)) {
      return { module, part: "layer", layer: numbered.number, optional };
    }
    const part = numbered === undefined ? (sideOf(name) ?? (first.has(name) ? "before" : "after")) : "after";
    const extra = numbered === undefined ? {} : { predictor: numbered.number - (modules[module]?.layers ?? 0) };
    const kind = tokens(name, module);
    return kind === undefined
      ? { module, part, ...extra, optional }
      : { module, part, ...extra, tokens: kind, optional };
  };
}

/** DeepSeek-V3 numbers what predicts further tokens on behind the last layer (section 2.2 of its report). */
function isPredictor(module: ModuleStructure | undefined, number: number): boolean {
  return module !== undefined && number >= module.layers && number < module.layers + module.predictors;
}

/** Number of tokens that config.json says the model knows. */
function vocabularySize(config: unknown): number | undefined {
  const paths = [["vocab_size"], ...textSections.map((section) => [section, "vocab_size"])];
  return paths.map((path) => countAt(config, path)).find((count) => count !== undefined);
}

function noteOn(modelType: string, isKnown: boolean, config: unknown, { modules }: Structure): string | undefined {
  const sentences: string[] = [];
  if (!isKnown) {
    const stacks = modules.flatMap(({ layers, stack }) =>
      stack === undefined ? [] : [`${layers} layers under ${quote(stack.slice(0, -1))}`],
    );
    const found = stacks.length === 0 ? "no layers" : stacks.join(", ");
    sentences.push(`Model type ${quote(modelType)} is not known: found ${found} by the names of the tensors`);
  }
  for (const { layers, layerCount } of modules) {
    const said = layerCount === undefined ? undefined : countAt(config, layerCount);
    if (layerCount === undefined || said === undefined || said === layers) continue;
    sentences.push(`The tensors are of ${layers} layers, but ${quote(layerCount.join("."))} in config.json is ${said}`);
  }
  return sentences.length > 0 ? sentences.join(". ") : undefined;
}
