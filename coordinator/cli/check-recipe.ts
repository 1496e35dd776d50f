import { methods } from "../../shared/methods/index.js";
import { methodOf } from "../plan/check-method.js";
import { bindParameters } from "../recipe/bind.js";
import { readRecipe } from "../recipe/read.js";
import type { RecipeFile } from "../recipe/recipe.js";

/** Reads a recipe and finds everything that can be wrong with it without its models. Throws `recipe_invalid`. */
export async function readCheckedRecipe(file: string): Promise<RecipeFile> {
  const recipe = await readRecipe(file);
  const elsewhere = new Set(
    [...methods.values()].flatMap(({ perModel, merge, inert }) => Object.keys({ ...perModel, ...merge, ...inert })),
  );
  for (const stage of recipe.stages) bindParameters(stage, methodOf(stage), elsewhere);
  return recipe;
}
