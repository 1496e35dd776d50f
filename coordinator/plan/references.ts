import { modelsOf } from "../recipe/models.js";
import type { Located, ModelReference, Recipe, RecipeSlice } from "../recipe/recipe.js";

/** A slice and the module that it is in, by their places in the recipe. */
export interface PlacedSlice {
  readonly module: number;
  readonly slice: number;
  readonly definition: RecipeSlice;
  /** `models`: whole models, to which the base is added when it is not among them. */
  readonly form: "models" | "slices";
  readonly base: Located<ModelReference> | undefined;
}

/** All slices of a recipe, in its order. */
export function slicesOf(recipe: Recipe): readonly PlacedSlice[] {
  return recipe.modules.flatMap(({ slices, form }, module) =>
    slices.map((definition, slice) => {
      return { module, slice, definition, form, base: definition.base ?? recipe.base };
    }),
  );
}

/** Every model that a recipe refers to, each once, in the order of {@link modelsOf}. */
export function referencesOf(recipe: Recipe): readonly Located<ModelReference>[] {
  const distinct = new Map<string, Located<ModelReference>>();
  for (const reference of modelsOf(recipe)) {
    if (!distinct.has(reference.value.text)) distinct.set(reference.value.text, reference);
  }
  return [...distinct.values()];
}
