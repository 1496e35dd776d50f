import type { MergeMethod } from "../../shared/methods/method.js";
import type { ParameterSpec, ParameterSpecs, ParameterValue } from "../../shared/methods/parameter.js";
import { quote } from "../../shared/quote.js";
import { Complaints, recipeError } from "./complaints.js";
import { fitSetting } from "./fit.js";
import type { Position, Recipe, RecipeModule, RecipeParameters, RecipeSlice, RecipeSource, Setting } from "./recipe.js";
import { type LayerPosition, resolverOf } from "./resolve.js";
import { didYouMean, quoteAll } from "./wording.js";

/** What binding needs to know of a merge method. */
export type MethodParameters = Pick<MergeMethod, "name" | "base" | "perModel" | "merge" | "inert">;

/**
 * A parameter's value for one tensor; `layer` is undefined for tensors outside the layers. Undefined where nothing is
 * given and nothing needs to be: an optional parameter, or a parameter of the base model. Throws `recipe_invalid` for a
 * parameter that must be given when no filter matches the tensor.
 */
export type BoundSetting = (tensorName: string, layer: LayerPosition | undefined) => ParameterValue | undefined;

/** A bound setting for every parameter of the method, by name. */
type BoundSettings = ReadonlyMap<string, BoundSetting>;

/** Parallel to the recipe's own modules and slices. */
export interface BoundRecipe {
  readonly modules: readonly { readonly slices: readonly BoundSlice[] }[];
  /** Parameters that change nothing, each with its place and the reason. mergekit says nothing of them. */
  readonly warnings: readonly string[];
}

export interface BoundSlice {
  /** `perSource[i]` belongs to `slice.sources[i]`. Asked with the name of the source's tensor. */
  readonly perSource: readonly BoundSettings[];
  /** For a base that is not among the sources and joins them, without parameters of its own. */
  readonly base: BoundSettings;
  /** Asked with the name of the output's tensor. */
  readonly merge: BoundSettings;
}

/**
 * Joins what the recipe says with what the method asks for. A parameter is what stands under the source, if it is one
 * of each model, else under the slice, the module or the recipe, else its default; the base model is exempt from those
 * that must be given, unless the method treats it like any other model. Throws one `recipe_invalid` with a line for
 * every complaint. `elsewhere`: parameters of other methods, left over in many a recipe; these are warned of.
 */
export function bindParameters(
  recipe: Recipe,
  method: MethodParameters,
  elsewhere: ReadonlySet<string> = new Set(),
): BoundRecipe {
  const binder = new Binder(recipe, method, elsewhere);
  const modules = recipe.modules.map((module) => ({ slices: binder.bindModule(module) }));
  binder.complaints.throwIfAny();
  return { modules, warnings: binder.warnings() };
}

/** Settings by parameter name; undefined for one that got a complaint, which is not missing. */
type Settings = ReadonlyMap<string, Setting | undefined>;

/** Whose parameters are bound: a model's, or without one the merge's. */
interface Owner {
  readonly model?: string;
  readonly at: Position;
  readonly isExempt: boolean;
}

class Binder {
  readonly complaints: Complaints;
  readonly #recipe: Recipe;
  readonly #method: MethodParameters;
  /** Parameters that may stand above the sources. */
  readonly #shared: ParameterSpecs;
  /** What stands under the recipe's own `parameters`. */
  readonly #everywhere: Settings;
  readonly #elsewhere: ReadonlySet<string>;
  readonly #withoutEffect: { readonly at: Position; readonly text: string }[] = [];

  constructor(recipe: Recipe, method: MethodParameters, elsewhere: ReadonlySet<string>) {
    this.complaints = new Complaints(recipe.file);
    this.#recipe = recipe;
    this.#method = method;
    this.#elsewhere = elsewhere;
    this.#shared = { ...method.perModel, ...method.merge };
    this.#everywhere = this.#fit(recipe.parameters, this.#shared);
  }

  warnings(): readonly string[] {
    const { file } = this.#recipe;
    const inOrder = this.#withoutEffect.toSorted((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
    return [...new Set(inOrder.map(({ at, text }) => `${file}:${at.line}:${at.column}  ${text}`))];
  }

  bindModule({ form, slices, parameters }: RecipeModule): readonly BoundSlice[] {
    const levels = [this.#fit(parameters, this.#shared), this.#everywhere];
    return slices.map((slice) => this.#bindSlice(slice, form, levels));
  }

  #bindSlice(
    { sources, base: ownBase, parameters }: RecipeSlice,
    form: RecipeModule["form"],
    outer: readonly Settings[],
  ): BoundSlice {
    const { perModel, merge } = this.#method;
    const levels = [this.#fit(parameters, this.#shared), ...outer];
    const base = ownBase ?? this.#recipe.base;
    const joins = base !== undefined && !sources.some(({ model }) => model.value.text === base.value.text);
    return {
      perSource: sources.map((source) => this.#bindSource(source, base, levels)),
      base: this.#bind(perModel, levels, {
        model: base?.value.text ?? "",
        at: base?.at ?? this.#recipe.method.at,
        // To a method without a base, one beside whole models is one more of them; beside slices, it is nothing.
        isExempt: !joins || this.#method.base !== "none" || form === "slices",
      }),
      merge: this.#bind(merge, levels, { at: this.#recipe.method.at, isExempt: false }),
    };
  }

  #bindSource(
    { model, parameters }: RecipeSource,
    base: RecipeSlice["base"],
    levels: readonly Settings[],
  ): BoundSettings {
    const { perModel } = this.#method;
    const isExempt = this.#method.base !== "none" && model.value.text === base?.value.text;
    const owner = { model: model.value.text, at: model.at, isExempt };
    return this.#bind(perModel, [this.#fit(parameters, perModel), ...levels], owner);
  }

  /** The settings of one `parameters` mapping, each of the type that its spec asks for. */
  #fit(parameters: RecipeParameters, specs: ParameterSpecs): Settings {
    const settings = new Map<string, Setting | undefined>();
    for (const [name, parameter] of parameters) {
      const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
      if (spec !== undefined) settings.set(name, fitSetting(name, parameter, spec, this.complaints));
      else this.#withoutSpec(name, parameter.nameAt);
    }
    return settings;
  }

  /** A name that means nothing where it stands: a warning where mergekit knows it and ignores it, else a complaint. */
  #withoutSpec(name: string, at: Position): void {
    const { name: method, perModel, merge } = this.#method;
    const reason = this.#reasonToIgnore(name);
    if (reason !== undefined) {
      this.#withoutEffect.push({ at, text: `Parameter ${quote(name)} has no effect: ${reason}` });
      return;
    }
    const names = Object.keys({ ...perModel, ...merge });
    const taken = names.length === 0 ? "no parameters" : quoteAll(names);
    this.complaints.add(
      at,
      `Unknown parameter ${quote(name)}: method ${quote(method)} takes ${taken}${didYouMean(name, names)}`,
    );
  }

  #reasonToIgnore(name: string): string | undefined {
    const { name: method, merge, inert } = this.#method;
    if (Object.hasOwn(inert, name)) return inert[name];
    if (Object.hasOwn(merge, name)) {
      return 'it belongs to the merge and not to a model, give it once, under the recipe\'s own "parameters"';
    }
    return this.#elsewhere.has(name) ? `method ${quote(method)} does not take it` : undefined;
  }

  /** For each spec, the settings given for it in the order of precedence, ready to be resolved for a tensor. */
  #bind(specs: ParameterSpecs, levels: readonly Settings[], owner: Owner): BoundSettings {
    return new Map(
      Object.entries(specs).map(([name, spec]) => {
        const given = levels.filter((level) => level.has(name));
        const isNeeded = mustBeGiven(spec) && !owner.isExempt;
        if (given.length === 0 && isNeeded) this.#complainMissing(name, owner);
        const settings = given.map((level) => level.get(name)).filter((setting) => setting !== undefined);
        const resolve = resolverOf(settings);
        const bound: BoundSetting = (tensorName, layer) => {
          const value = resolve(tensorName, layer) ?? spec.default;
          if (value === undefined && isNeeded) throw this.#noMatch(name, tensorName, owner);
          return value;
        };
        return [name, bound];
      }),
    );
  }

  #complainMissing(name: string, { model, at }: Owner): void {
    const missing = `Missing parameter ${quote(name)}${model === undefined ? "" : ` for model ${quote(model)}`}`;
    const remedy = model === undefined ? 'under "parameters"' : 'under the model or once under "parameters"';
    this.complaints.add(at, `${missing}: method ${quote(this.#method.name)} needs it, give it ${remedy}`);
  }

  #noMatch(name: string, tensorName: string, { model, at }: Owner): Error {
    const tensor = `tensor ${quote(tensorName)}${model === undefined ? "" : ` of model ${quote(model)}`}`;
    const message = `Missing parameter ${quote(name)} for ${tensor}: no filter matches, end the list with "- value: …"`;
    return recipeError(this.#recipe.file, [{ at, message }]);
  }
}

function mustBeGiven(spec: ParameterSpec): boolean {
  return spec.default === undefined && !("optional" in spec);
}
