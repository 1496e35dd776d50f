import { countAt } from "./config-value.js";

/** One stack of layers, and what belongs to it. */
export interface ModuleStructure {
  /** mergekit's where it has one: `default`, `text_decoder`. */
  readonly name: string;
  /** By the tensors' names; 0 for a module without layers. */
  readonly layers: number;
  /** Parts that predict further tokens, and are numbered on behind the last layer. */
  readonly predictors: number;
  /** What stands before a layer's number in names, its dot included: `model.layers.`; undefined without layers. */
  readonly stack: string | undefined;
  /** Path in config.json of the number of layers: where it is, or else where readers would look for it. */
  readonly layerCount: readonly string[] | undefined;
  /** Every path in config.json that has this number, `layerCount` first: some configs say it twice. */
  readonly layerCounts: readonly (readonly string[])[];
}

export interface TensorPlace {
  /** Into the architecture's modules. */
  readonly module: number;
  /** `before`: embeddings and the like, up to the first layer; `after`: final norm, head, pooler. */
  readonly part: "before" | "layer" | "after";
  /** The layer's number, counted from 0; undefined outside the layers. */
  readonly layer?: number;
  /** A part that predicts further tokens: its number behind the last layer, counted from 0. Its part is `after`. */
  readonly predictor?: number;
  /** Rows are tokens: of a matrix [tokens, width], or of a head's bias [tokens]. Position embeddings are not. */
  readonly tokens?: "embedding" | "head";
  /** A buffer such as `rotary_emb.inv_freq`, which may be missing from a model. */
  readonly optional: boolean;
}

/** A model's modules, and how tensors outside the layers are told apart. */
export interface Structure {
  readonly modules: readonly ModuleStructure[];
  /** The module of a tensor outside the layers. */
  moduleOf(name: string): number;
  /** Tensors outside the layers that come before the first layer in file order. */
  readonly first: ReadonlySet<string>;
  /** Whether the rows of a tensor outside the layers are tokens. */
  tokens(name: string, module: number): "embedding" | "head" | undefined;
}

/** The paths of these that hold the same number as the first that is there. */
export function layerCountsIn(config: unknown, dotted: readonly string[]): readonly (readonly string[])[] {
  const paths = dotted.map((path) => path.split("."));
  const [first] = paths.map((path) => countAt(config, path)).filter((count) => count !== undefined);
  return first === undefined ? [] : paths.filter((path) => countAt(config, path) === first);
}

/** Tensors outside the layers that come before the first one inside, in file order. */
export function namesBeforeLayers(names: Iterable<string>, isInLayer: (name: string) => boolean): ReadonlySet<string> {
  const first = new Set<string>();
  for (const name of names) {
    if (isInLayer(name)) return first;
    first.add(name);
  }
  return first;
}
