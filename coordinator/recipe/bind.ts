import type { MergeMethod } from "../../shared/methods/method.js";
import type { ParameterSpec, ParameterSpecs, ParameterValue } from "../../shared/methods/parameter.js";
import { quote } from "../../shared/quote.js";
import { Complaints, recipeError } from "./complaints.js";
import { fitSetting } from "./fit.js";
import type { Position, Recipe, RecipeModel, RecipeParameter, Setting } from "./recipe.js";
import { type LayerPosition, resolveSettings } from "./resolve.js";
import { didYouMean, quoteAll } from "./wording.js";

/** What binding needs to know of a merge method. */
export type MethodParameters = Pick<MergeMethod, "name" | "base" | "perModel" | "merge" | "inert">;

/**
 * A parameter's value for one tensor; `layer` is undefined for tensors outside the layers. Undefined where nothing is
 * given and nothing needs to be: an optional parameter, or a parameter of the base model. Throws `recipe_invalid` for a
 * parameter that must be given when no filter matches the tensor.
 */
export type BoundSetting = (tensorName: string, layer: LayerPosition | undefined) => ParameterValue | undefined;

/** Every parameter of the method by name. */
export interface BoundParameters {
  /** `perModel[i]` belongs to `recipe.models[i]`. */
  readonly perModel: readonly ReadonlyMap<string, BoundSetting>[];
  readonly merge: ReadonlyMap<string, BoundSetting>;
}

/**
 * Joins what the recipe says with what the method asks for. A per-model parameter is what stands under the model, else
 * under the recipe's own `parameters`, else the default; the base model is exempt from those that must be given, unless
 * the method treats it like any other model. Throws one `recipe_invalid` with a line for every complaint.
 */
export function bindParameters(recipe: Recipe, method: MethodParameters): BoundParameters {
  const binder = new Binder(recipe, method);
  const bound = {
    perModel: recipe.models.map((model) => binder.bindModel(model)),
    merge: binder.bindMerge(),
  };
  binder.complaints.throwIfAny();
  return bound;
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
  /** What stands under the recipe's own `parameters`. */
  readonly #shared: Settings;

  constructor(recipe: Recipe, method: MethodParameters) {
    this.complaints = new Complaints(recipe.file);
    this.#recipe = recipe;
    this.#method = method;
    this.#shared = this.#fit(recipe.parameters, { ...method.perModel, ...method.merge });
  }

  bindModel({ model, parameters }: RecipeModel): ReadonlyMap<string, BoundSetting> {
    const { perModel, base } = this.#method;
    const isExempt = base !== "none" && model.value === this.#recipe.base?.value;
    const own = this.#fit(parameters, perModel);
    return this.#bind(perModel, [own, this.#shared], { model: model.value, at: model.at, isExempt });
  }

  bindMerge(): ReadonlyMap<string, BoundSetting> {
    return this.#bind(this.#method.merge, [this.#shared], { at: this.#recipe.method.at, isExempt: false });
  }

  /** The settings of one `parameters` mapping, each of the type that its spec asks for. */
  #fit(parameters: ReadonlyMap<string, RecipeParameter>, specs: ParameterSpecs): Settings {
    const settings = new Map<string, Setting | undefined>();
    for (const [name, parameter] of parameters) {
      const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
      if (spec !== undefined) settings.set(name, fitSetting(name, parameter, spec, this.complaints));
      else if (!Object.hasOwn(this.#method.inert, name)) this.#complainUnknown(name, parameter.nameAt);
    }
    return settings;
  }

  #complainUnknown(name: string, at: Position): void {
    const { name: method, perModel, merge } = this.#method;
    if (Object.hasOwn(merge, name)) {
      const remedy = 'give it once, under the recipe\'s own "parameters"';
      this.complaints.add(at, `Parameter ${quote(name)} belongs to the merge and not to a model, ${remedy}`);
      return;
    }
    const names = Object.keys({ ...perModel, ...merge });
    const taken = names.length === 0 ? "no parameters" : quoteAll(names);
    this.complaints.add(
      at,
      `Unknown parameter ${quote(name)}: method ${quote(method)} takes ${taken}${didYouMean(name, names)}`,
    );
  }

  /** For each spec, the settings given for it in the order of precedence, ready to be resolved for a tensor. */
  #bind(specs: ParameterSpecs, levels: readonly Settings[], owner: Owner): ReadonlyMap<string, BoundSetting> {
    return new Map(
      Object.entries(specs).map(([name, spec]) => {
        const given = levels.filter((level) => level.has(name));
        const isNeeded = mustBeGiven(spec) && !owner.isExempt;
        if (given.length === 0 && isNeeded) this.#complainMissing(name, owner);
        const settings = given.map((level) => level.get(name)).filter((setting) => setting !== undefined);
        const bound: BoundSetting = (tensorName, layer) => {
          const value = resolveSettings(settings, tensorName, layer) ?? spec.default;
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
  return spec.kind === "number" && spec.default === undefined && spec.optional !== true;
}
