import { isComputable } from "../../../shared/checkpoint/dtypes.js";
import { architecturesOf } from "../../plan/architectures.js";
import { type OpenModel, openReferences } from "../../plan/open-models.js";
import { referencesOf } from "../../plan/references.js";
import { Complaints } from "../../recipe/complaints.js";
import type { Located, ModelReference, Recipe } from "../../recipe/recipe.js";
import { isNodeModel } from "../../sources/node-models.js";
import { adoptLater } from "./adopt.js";
import type { ModelOf } from "./dimensions.js";

/**
 * Opens every model that the recipe may have. Paths start from `home`'s folder, complaints are about `file`. Undefined
 * where one could not be opened, or need not be: one that only an agent has.
 */
export async function openRecipeModels(
  recipes: readonly Recipe[],
  { file, home, isNeeded }: { readonly file: string; readonly home: string; readonly isNeeded: boolean },
  complaints: Complaints,
): Promise<readonly OpenModel[] | undefined> {
  const references = new Map<string, Located<ModelReference>>();
  for (const reference of recipes.flatMap(referencesOf)) references.set(reference.value.text, reference);
  if (!isNeeded && [...references.values()].some(({ value }) => isNodeModel(value.path))) return undefined;
  const saysTokens = recipes.some(
    ({ tokenizer, chatTemplate }) => tokenizer !== undefined || chatTemplate !== undefined,
  );
  const withTokenizer = new Set(saysTokens ? references.keys() : []);
  return adoptLater(
    () => openReferences(home, references.values(), withTokenizer, new Complaints(file)),
    file,
    { line: 1, column: 1 },
    complaints,
  );
}

/** Those of one recipe, in its order. */
export function modelsNamedIn(recipe: Recipe, models: readonly OpenModel[]): readonly OpenModel[] {
  const byName = new Map(models.map((model) => [model.name, model]));
  return referencesOf(recipe).flatMap(({ value, at }) => {
    const model = byName.get(value.text);
    return model === undefined ? [] : [{ ...model, at }];
  });
}

/** The model of a place, else the one that the output is like: the base, or the first. */
export function modelLookup(recipe: Recipe | undefined, models: readonly OpenModel[]): ModelOf {
  const architectures = architecturesOf(models);
  const [first] = recipe === undefined ? [] : referencesOf(recipe);
  const outer = recipe?.base?.value.text ?? first?.value.text;
  return ({ model, layers }) => {
    const place = models.findIndex(({ name }) => name === (model?.text ?? outer));
    const [found, architecture] = [models[place], architectures[place]];
    if (found === undefined || architecture === undefined) return undefined;
    const tensors = [...found.checkpoint.tensors.values()].filter(({ dtype }) => isComputable(dtype));
    return { architecture, tensors: tensors.map(({ name }) => name), layers };
  };
}
