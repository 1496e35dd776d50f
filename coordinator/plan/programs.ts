import { Graph } from "../../shared/expression/expression.js";
import { schedule } from "../../shared/expression/passes.js";
import type { Program } from "../../shared/expression/program.js";
import { buildProgram, type MergeMethod, type ParameterSlot } from "../../shared/methods/method.js";
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
  /** By what shapes an expression. */
  readonly #built = new Map<string, { readonly place: number; readonly slots: readonly ParameterSlot[] }>();
  /** By all values. Tensors with the same values share one object: a model has many tensors and few settings. */
  readonly #known = new Map<string, TensorProgram>();
  #copy: TensorProgram | undefined;

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
    const key = JSON.stringify([perModel, merge]);
    let known = this.#known.get(key);
    if (known === undefined) {
      this.#check(tensor, perModel, merge);
      known = this.#build(perModel, merge);
      this.#known.set(key, known);
    }
    return known;
  }

  /** The program of a tensor that is copied as it is. */
  copy(): TensorProgram {
    if (this.#copy === undefined) {
      const graph = new Graph();
      this.#copy = { program: this.#programs.push(graph.finish(graph.input())) - 1, parameters: [] };
    }
    return this.#copy;
  }

  /**
   * A reduction over the whole model needs one answer for all its tensors, so whatever it depends on must not change
   * from tensor to tensor. Complains where it does.
   */
  assertOneModel(tensors: readonly { readonly name: string; readonly program: TensorProgram }[]): void {
    const modelwide = new Set(this.#programs.flatMap((program, i) => (schedule(program).modelwide ? [i] : [])));
    const members = tensors.filter(({ program }) => modelwide.has(program.program));
    const [first] = members;
    const other = members.find(({ program }) => program !== first?.program);
    if (first !== undefined && other !== undefined) {
      const remedy = "give every parameter one value for all tensors";
      this.#complaints.add(
        this.#recipe.method.at,
        `A merge with "scope: model" looks at all tensors at once, but ${quote(first.name)} and ${quote(other.name)} have different parameters: ${remedy}`,
      );
    }
  }

  #build(perModel: readonly Values[], merge: Values): TensorProgram {
    const structure = JSON.stringify([perModel.map(structureOf), structureOf(merge)]);
    let built = this.#built.get(structure);
    if (built === undefined) {
      const { program, slots } = buildProgram(this.#method, this.#names, this.#base, { perModel, merge });
      built = { place: this.#programs.push(program) - 1, slots };
      this.#built.set(structure, built);
    }
    const { place, slots } = built;
    const numberOf = ({ parameter, model }: ParameterSlot): number =>
      Number((model === undefined ? merge : perModel[model])?.[parameter]);
    return { program: place, parameters: slots.map(numberOf) };
  }

  #check(tensor: string, perModel: readonly Values[], merge: Values): void {
    const models = perModel.filter((_, model) => this.#method.base === "none" || model !== this.#base);
    const problem = this.#method.check({ models, merge });
    if (problem !== undefined) {
      this.#complaints.add(this.#recipe.method.at, `Cannot merge tensor ${quote(tensor)}: ${problem}`);
    }
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
