import type { Located, ModelReference, Recipe, TokenSource } from "./recipe.js";

type Change = (model: Located<ModelReference>) => Located<ModelReference>;

/** The recipe with every reference to a model replaced, in the order of the type's fields. */
export function mapModels(recipe: Recipe, change: Change): Recipe {
  const { modules, base, tokenizer } = recipe;
  return {
    ...recipe,
    modules: modules.map((module) => ({
      ...module,
      slices: module.slices.map((slice) => ({
        ...slice,
        sources: slice.sources.map((source) => ({ ...source, model: change(source.model) })),
        base: slice.base && change(slice.base),
      })),
    })),
    base: base && change(base),
    tokenizer: tokenizer && {
      ...tokenizer,
      source: mapVocabulary(tokenizer.source, change),
      tokens: new Map(
        [...tokenizer.tokens].map(([token, setting]) => {
          return [token, { ...setting, source: setting.source && mapTokenSource(setting.source, change) }];
        }),
      ),
    },
  };
}

/** Every reference to a model, as often as it is written. */
export function modelsOf(recipe: Recipe): readonly Located<ModelReference>[] {
  const models: Located<ModelReference>[] = [];
  mapModels(recipe, (model) => {
    models.push(model);
    return model;
  });
  return models;
}

function mapVocabulary(
  { value, at }: NonNullable<Recipe["tokenizer"]>["source"],
  change: Change,
): NonNullable<Recipe["tokenizer"]>["source"] {
  return typeof value === "string" ? { value, at } : change({ value, at });
}

function mapTokenSource(source: TokenSource, change: Change): TokenSource {
  return source.kind === "zero" ? source : { ...source, model: change(source.model) };
}
