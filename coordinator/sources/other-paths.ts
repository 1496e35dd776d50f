import { mapModels } from "../recipe/models.js";
import type { Located, ModelReference, RecipeFile } from "../recipe/recipe.js";
import type { NamedPart } from "./remote-names.js";

/** Where a part of a reference is to be looked for instead; undefined: where it says. */
export type OtherPath = (part: NamedPart) => string | undefined;

/**
 * The reference to other folders. What the model is called in messages stays as it was written, and the revision, which
 * those folders are of, goes.
 */
export function inReference({ value, at }: Located<ModelReference>, otherPath: OtherPath): Located<ModelReference> {
  const { path, revision, lora, ...rest } = value;
  const moved = (part: NamedPart): NamedPart => {
    const other = otherPath(part);
    return other === undefined ? part : { path: other };
  };
  const model = moved({ path, ...(revision === undefined ? {} : { revision }) });
  return { value: { ...rest, ...model, ...(lora === undefined ? {} : { lora: moved(lora) }) }, at };
}

/** The recipe with other folders in the place of some. */
export function inRecipe(recipe: RecipeFile, otherPath: OtherPath): RecipeFile {
  const stages = recipe.stages.map((stage) => mapModels(stage, (model) => inReference(model, otherPath)));
  return { ...recipe, stages };
}
