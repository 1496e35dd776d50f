import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";

/** Where something stands in the recipe's text, both counted from 1 as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
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

/** Values spread evenly over the layers, with straight lines between them. */
export interface GradientSetting {
  readonly kind: "gradient";
  readonly values: readonly number[];
}

/** Entries tried in order; the first whose filter matches the tensor's name decides. */
export interface FilterSetting {
  readonly kind: "filters";
  readonly entries: readonly FilterEntry[];
}

export interface FilterEntry {
  /** A piece of a tensor's name; undefined and `"*"` match every tensor. */
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

export interface RecipeModel {
  /** A path or a name, as written; nothing has looked for it yet. */
  readonly model: Located<string>;
  readonly parameters: RecipeParameters;
}

/**
 * What the author wrote, and nothing that we derived from it: the method may be unknown, the parameters may be misspelt
 * and the models may not exist.
 */
export interface Recipe {
  /** The file as the user named it, for messages. */
  readonly file: string;
  /** The file's text, verbatim, for the manifest. */
  readonly text: string;
  readonly method: Located<string>;
  readonly models: readonly RecipeModel[];
  readonly base: Located<string> | undefined;
  readonly parameters: RecipeParameters;
  readonly dtype: Located<ComputableDtype> | undefined;
  readonly outDtype: Located<ComputableDtype> | undefined;
  /** What a method's random numbers grow from: a whole number from 0 to 2^53 − 1, 0 when the recipe has none. */
  readonly seed: number;
}
