import { methods } from "../../shared/methods/index.js";
import type { MergeMethod } from "../../shared/methods/method.js";
import { quote } from "../../shared/quote.js";
import { Complaints } from "../recipe/complaints.js";
import type { Recipe } from "../recipe/recipe.js";
import { didYouMeanOrOneOf } from "../recipe/wording.js";
import { type PlacedSlice, slicesOf } from "./references.js";

/**
 * The method that a recipe names, if the recipe gives it as many models as it takes. Asked before the models are
 * opened, so that a typo costs nothing. Throws `recipe_invalid`.
 */
export function methodOf(recipe: Recipe): MergeMethod {
  const { value, at } = recipe.method;
  const method = methods.get(value);
  const complaints = new Complaints(recipe.file);
  if (method === undefined) {
    return complaints.fail(at, `Unknown merge method ${quote(value)}${didYouMeanOrOneOf(value, [...methods.keys()])}`);
  }
  for (const slice of slicesOf(recipe)) checkSlice(slice, method, recipe, complaints);
  complaints.throwIfAny();
  return method;
}

function checkSlice(slice: PlacedSlice, method: MergeMethod, recipe: Recipe, complaints: Complaints): void {
  const { definition, base, form } = slice;
  const listed = definition.sources.map(({ model }) => model.value.text);
  const at = form === "models" ? recipe.method.at : definition.at;
  const hasBase = base !== undefined && listed.includes(base.value.text);
  if (method.base === "required" && base === undefined) {
    complaints.add(recipe.method.at, `Method "${method.name}" needs a "base_model"`);
  } else if (method.base !== "none" && form === "slices" && !hasBase && base !== undefined) {
    const remedy = "list it among them, with the layers to compare with";
    complaints.add(at, `The base ${quote(base.value.text)} is not one of the slice's sources: ${remedy}`);
  }
  if (method.base === "none" && form === "models" && base !== undefined && !hasBase && !joinsUnasked(method)) {
    const remedy = 'list it under "models" or remove it';
    complaints.add(base.at, `Method "${method.name}" does not use a base that is not one of the models: ${remedy}`);
  }
  const count = listed.filter((name) => method.base === "none" || name !== base?.value.text).length;
  const { min, max } = method.models;
  if (count >= min && count <= max) return;
  const wanted = min === max ? `exactly ${min}` : count < min ? `at least ${min}` : `at most ${max}`;
  const besides = method.base === "none" || base === undefined ? "" : " besides the base";
  const where = form === "models" ? "the recipe" : "the slice";
  complaints.add(
    at,
    `Method "${method.name}" merges ${wanted} model${wanted.endsWith(" 1") ? "" : "s"}${besides}, ${where} lists ${count}`,
  );
}

/**
 * Whether a base that is not listed may be merged like any other model, as mergekit does: where nothing need be said of
 * it and any number will do.
 */
export function joinsUnasked({ perModel, models }: MergeMethod): boolean {
  const needsSomething = Object.values(perModel).some(
    (spec) => !("default" in spec && spec.default !== undefined) && !("optional" in spec && spec.optional),
  );
  return !needsSomething && models.max === Number.POSITIVE_INFINITY;
}
