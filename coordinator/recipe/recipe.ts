import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";

/** Where something stands in the recipe's text, both counted from 1 as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
  /** Where it was written in another file than the one that is read. */
  readonly file?: string;
}

/** Something the author wrote, and where. */
export interface Located<T> {
  readonly value: T;
  readonly at: Position;
}

/** One value for every tensor. */
export interface ScalarSetting {
  readonly kind: "scalar";
  readonly value: number | boolean | string;
}

/** Values spread evenly over the layers: numbers with straight lines between them, others in steps. */
export interface GradientSetting {
  readonly kind: "gradient";
  readonly values: readonly (number | boolean | string)[];
}

/** Entries tried in order; the first whose filter matches the tensor's name decides. */
export interface FilterSetting {
  readonly kind: "filters";
  readonly entries: readonly FilterEntry[];
}

export interface FilterEntry {
  /**
   * A piece of a tensor's name, as in mergekit; undefined and `"*"` match every tensor. With `*`, `?` or `[…]` in it, a
   * glob for the whole name: ours.
   */
  readonly filter: string | undefined;
  readonly setting: ScalarSetting | GradientSetting;
  /** Where the entry's value stands. */
  readonly at: Position;
}

/** A parameter's value as written. */
export type Setting = ScalarSetting | GradientSetting | FilterSetting;

/** `at` is where the value stands, `nameAt` where its name does. */
export interface RecipeParameter extends Located<Setting> {
  readonly nameAt: Position;
}

export type RecipeParameters = ReadonlyMap<string, RecipeParameter>;

/** A model as a recipe names it: `path[@revision][+lora[@revision]]`, or the same as a mapping. */
export interface ModelReference {
  /** The reference in one line, the same for the same model: what messages say, and what models are told apart by. */
  readonly text: string;
  readonly path: string;
  readonly revision?: string;
  /** A PEFT adapter that is applied to the model as it is read. */
  readonly lora?: { readonly path: string; readonly revision?: string };
  /** The model is the output of another document of the same file: its place in {@link RecipeFile.stages}. */
  readonly stage?: number;
}

export interface RecipeModel {
  readonly model: Located<ModelReference>;
  readonly parameters: RecipeParameters;
}

/** One model's part in a slice. */
export interface RecipeSource extends RecipeModel {
  /** The layers [first, end) that it gives; undefined for all of them, as under `models`. */
  readonly layers: Located<readonly [first: number, end: number]> | undefined;
}

/** Some consecutive layers of the output, merged from as many layers of each source. */
export interface RecipeSlice {
  readonly at: Position;
  readonly sources: readonly RecipeSource[];
  /** Stands in for the recipe's own base. */
  readonly base: Located<ModelReference> | undefined;
  readonly parameters: RecipeParameters;
}

/** One stack of layers of the output, for models that have several. */
export interface RecipeModule {
  /** The architecture's name for it, `text_decoder`; undefined where the recipe does not speak of modules. */
  readonly name: Located<string> | undefined;
  /** `models` became one slice whose sources have no layers. */
  readonly form: "models" | "slices";
  readonly slices: readonly RecipeSlice[];
  readonly parameters: RecipeParameters;
}

/** What the output's vocabulary is, and where its rows come from. */
export interface TokenizerSetting {
  readonly at: Position;
  readonly source: Located<"union" | "base" | ModelReference>;
  readonly tokens: ReadonlyMap<string, TokenSetting>;
  /** The embedding gets rows up to a multiple of this. */
  readonly padToMultipleOf: number | undefined;
}

export interface TokenSetting {
  /** Where the token stands. */
  readonly at: Position;
  readonly source: TokenSource | undefined;
  /** Give every model this row, also those that have the token. @default false */
  readonly force: boolean;
}

export type TokenSource =
  | { readonly kind: "model"; readonly model: Located<ModelReference> }
  /** `token`: a token's text, or its number. */
  | { readonly kind: "model_token"; readonly model: Located<ModelReference>; readonly token: string | number }
  | { readonly kind: "zero" };

/**
 * What the author wrote, and nothing that we derived from it: the method may be unknown, the parameters may be misspelt
 * and the models may not exist.
 */
export interface Recipe {
  /** The file as the user named it, for messages. */
  readonly file: string;
  /** The text of the whole file, verbatim, for the manifest. */
  readonly text: string;
  /** What other documents of the same file call the output. */
  readonly name: Located<string> | undefined;
  readonly method: Located<string>;
  /** `models` and `slices` make one module without a name, `modules` one for each. */
  readonly modules: readonly RecipeModule[];
  readonly base: Located<ModelReference> | undefined;
  readonly parameters: RecipeParameters;
  readonly dtype: Located<ComputableDtype> | undefined;
  readonly outDtype: Located<ComputableDtype> | undefined;
  readonly tokenizer: TokenizerSetting | undefined;
  /** `auto`, the name of a built-in template, or Jinja. */
  readonly chatTemplate: Located<string> | undefined;
  /** What a method's random numbers grow from: a whole number from 0 to 2^53 − 1, 0 when the recipe has none. */
  readonly seed: number;
}

/** A recipe file: one document, or several that build on each other. */
export interface RecipeFile {
  readonly file: string;
  readonly text: string;
  /** Each after those it refers to; the last is the output. */
  readonly stages: readonly Recipe[];
}
