import { Graph } from "../../shared/expression/expression.js";
import { schedule } from "../../shared/expression/passes.js";
import type { Program } from "../../shared/expression/program.js";
import { type BuiltProgram, buildProgram, type MergeMethod, type MethodValues } from "../../shared/methods/method.js";
import type { ParameterValue } from "../../shared/methods/parameter.js";
import { quote } from "../../shared/quote.js";
import type { BoundParameters, BoundSetting } from "../recipe/bind.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Recipe } from "../recipe/recipe.js";
import type { LayerPosition } from "../recipe/resolve.js";

/** Which program a tensor runs, and with which numbers. */
export interface TensorProgram {
  readonly program: number;
  readonly parameters: readonly number[];
}

type Values = Record<string, ParameterValue | undefined>;

/**
 * Gives every tensor its program. Tensors share one as long as their booleans, choices and given optional parameters
 * agree; numbers may differ per tensor and are slots of the program.
 */
export class ProgramTable {
  readonly #method: MergeMethod;
  readonly #names: readonly string[];
  readonly #base: number | undefined;
  readonly #bound: BoundParameters;
  readonly #recipe: Recipe;
  readonly #complaints: Complaints;
  readonly #programs: Program[] = [];
  readonly #built = new Map<string, { built: BuiltProgram; place: number }>();
  readonly #checked = new Set<string>();
  #copy: number | undefined;

  constructor(
    method: MergeMethod,
    names: readonly string[],
    base: number | undefined,
    bound: BoundParameters,
    recipe: Recipe,
    complaints: Complaints,
  ) {
    this.#method = method;
    this.#names = names;
    this.#base = base;
    this.#bound = bound;
    this.#recipe = recipe;
    this.#complaints = complaints;
  }

  get programs(): readonly Program[] {
    return this.#programs;
  }

  programFor(tensor: string, layer: LayerPosition | undefined): TensorProgram {
    const perModel = this.#names.map((_, model) => evaluate(this.#bound.perModel[model], tensor, layer));
    const merge = evaluate(this.#bound.merge, tensor, layer);
    this.#check(tensor, { perModel, merge });
    const key = JSON.stringify([perModel.map(structureOf), structureOf(merge)]);
    let known = this.#built.get(key);
    if (known === undefined) {
      const built = buildProgram(this.#method, this.#names, this.#base, { perModel, merge });
      known = { built, place: this.#programs.push(built.program) - 1 };
      this.#built.set(key, known);
    }
    const parameters = known.built.slots.map(({ parameter, model }) =>
      Number(model === undefined ? merge[parameter] : perModel[model]?.[parameter]),
    );
    return { program: known.place, parameters };
  }

  /** The program of a tensor that is copied as it is. */
  copy(): TensorProgram {
    if (this.#copy === undefined) {
      const graph = new Graph();
      this.#copy = this.#programs.push(graph.finish(graph.input())) - 1;
    }
    return { program: this.#copy, parameters: [] };
  }

  /**
   * A reduction over the whole model needs one answer for all its tensors, so whatever it depends on must not change
   * from tensor to tensor. Complains where it does.
   */
  assertOneModel(tensors: readonly { readonly name: string; readonly program: TensorProgram }[]): void {
    const modelwide = new Set(this.#programs.flatMap((program, i) => (schedule(program).modelwide ? [i] : [])));
    const members = tensors.filter(({ program }) => modelwide.has(program.program));
    const [first] = members;
    const other = members.find(({ program }) => JSON.stringify(program) !== JSON.stringify(first?.program));
    if (first !== undefined && other !== undefined) {
      const remedy = "give every parameter one value for all tensors";
      this.#complaints.add(
        this.#recipe.method.at,
        `A merge with "scope: model" looks at all tensors at once, but ${quote(first.name)} and ${quote(other.name)} have different parameters: ${remedy}`,
      );
    }
  }

  #check(tensor: string, values: { perModel: readonly Values[]; merge: Values }): void {
    const key = JSON.stringify(values);
    if (this.#checked.has(key)) return;
    this.#checked.add(key);
    const models = values.perModel.filter((_, model) => this.#method.base === "none" || model !== this.#base);
    const concrete: MethodValues = { models, merge: values.merge };
    const problem = this.#method.check(concrete);
    if (problem !== undefined)
      this.#complaints.add(this.#recipe.method.at, `Cannot merge tensor ${quote(tensor)}: ${problem}`);
  }
}

function evaluate(
  settings: ReadonlyMap<string, BoundSetting> | undefined,
  tensor: string,
  layer: LayerPosition | undefined,
): Values {
  const values: Values = {};
  for (const [name, setting] of settings ?? []) values[name] = setting(tensor, layer);
  return values;
}

/** What of the values shapes the expression: everything but the numbers themselves. */
function structureOf(values: Values): unknown {
  return Object.entries(values).map(([name, value]) => [name, typeof value === "number" ? "number" : (value ?? null)]);
}
