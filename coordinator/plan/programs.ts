import { Graph } from "../../shared/expression/expression.js";
import { schedule } from "../../shared/expression/passes.js";
import type { Program } from "../../shared/expression/program.js";
import { buildProgram, type MergeMethod, type ParameterSlot } from "../../shared/methods/method.js";
import type { ParameterSpecs, ParameterValue } from "../../shared/methods/parameter.js";
import { formatCount, quote } from "../../shared/quote.js";
import { programLimits } from "../../shared/rpc/program.js";
import type { BoundSetting } from "../recipe/bind.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Position } from "../recipe/recipe.js";
import type { LayerPosition } from "../recipe/resolve.js";
import { Numbering } from "./numbering.js";

/** Which program a tensor runs, and with which numbers. */
export interface TensorProgram {
  readonly program: Program;
  readonly parameters: readonly number[];
}

/** Some models that are merged with the same settings. */
export interface Participants {
  /** For messages and parameter labels, one per model. */
  readonly names: readonly string[];
  /** The base's place among them. */
  readonly base: number | undefined;
  readonly perModel: readonly ReadonlyMap<string, BoundSetting>[];
  readonly merge: ReadonlyMap<string, BoundSetting>;
}

type Values = Record<string, ParameterValue | undefined>;

/** A setting, and the model that it belongs to; undefined for one of the merge. */
interface OwnedSetting {
  readonly setting: BoundSetting;
  readonly model: number | undefined;
}

/**
 * The programs of one method. Tensors share one as long as their booleans, choices, whole numbers and given optional
 * parameters agree; other numbers may differ per tensor and are slots of the program.
 */
export class MethodPrograms {
  readonly #method: MergeMethod;
  readonly #at: Position;
  readonly #complaints: Complaints;
  /** By what shapes an expression. */
  readonly #built = new Map<string, { readonly program: Program; readonly slots: readonly ParameterSlot[] }>();
  /** By all values. Tensors with the same values share one object: a model has many tensors and few settings. */
  readonly #known = new Map<string, TensorProgram>();
  readonly #participants = new Numbering<Participants>();
  readonly #settings = new Map<Participants, readonly OwnedSetting[]>();
  /** What the last tensor got; the next one mostly gets the same. */
  #last:
    | { participants: Participants; values: readonly (ParameterValue | undefined)[]; chosen: TensorProgram }
    | undefined;

  constructor(method: MergeMethod, at: Position, complaints: Complaints) {
    this.#method = method;
    this.#at = at;
    this.#complaints = complaints;
  }

  /**
   * `inputs`: the tensor's name in each model, which per-model filters look at; merge-wide ones look at the output's.
   * Undefined: the same in all.
   */
  programFor(
    participants: Participants,
    tensor: string,
    inputs: readonly string[] | undefined,
    layer: LayerPosition | undefined,
  ): TensorProgram {
    const values = this.#settingsOf(participants).map(({ setting, model }) =>
      setting(model === undefined ? tensor : (inputs?.[model] ?? tensor), layer),
    );
    const last = this.#last;
    if (last?.participants === participants && last.values.every((value, i) => Object.is(value, values[i]))) {
      return last.chosen;
    }
    const chosen = this.#choose(participants, tensor, inputs, layer);
    this.#last = { participants, values, chosen };
    return chosen;
  }

  #settingsOf(participants: Participants): readonly OwnedSetting[] {
    let settings = this.#settings.get(participants);
    if (settings === undefined) {
      const { perModel, merge } = participants;
      const owned = (of: ReadonlyMap<string, BoundSetting>, model: number | undefined): readonly OwnedSetting[] =>
        [...of.values()].map((setting) => ({ setting, model }));
      settings = [...perModel.flatMap(owned), ...owned(merge, undefined)];
      this.#settings.set(participants, settings);
    }
    return settings;
  }

  #choose(
    participants: Participants,
    tensor: string,
    inputs: readonly string[] | undefined,
    layer: LayerPosition | undefined,
  ): TensorProgram {
    const { base } = participants;
    const perModel = participants.perModel.map((settings, i) => evaluate(settings, inputs?.[i] ?? tensor, layer));
    const merge = evaluate(participants.merge, tensor, layer);
    const key = `${this.#participants.of(participants)} ${JSON.stringify([perModel, merge])}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      this.#check(tensor, base, perModel, merge);
      known = this.#build(participants, perModel, merge);
      this.#known.set(key, known);
    }
    return known;
  }

  #build({ names, base }: Participants, perModel: readonly Values[], merge: Values): TensorProgram {
    const specs = this.#method;
    const structure = JSON.stringify([
      names,
      base ?? null,
      perModel.map((values) => structureOf(values, specs.perModel)),
      structureOf(merge, specs.merge),
    ]);
    let built = this.#built.get(structure);
    if (built === undefined) {
      built = buildProgram(this.#method, names, base, { perModel, merge });
      this.#checkSize(built.program);
      this.#built.set(structure, built);
    }
    const numberOf = ({ parameter, model }: ParameterSlot): number =>
      Number((model === undefined ? merge : perModel[model])?.[parameter]);
    return { program: built.program, parameters: built.slots.map(numberOf) };
  }

  /** An agent would refuse it, and everything is better said before it is asked. */
  #checkSize({ nodes }: Program): void {
    if (nodes.length <= programLimits.nodes) return;
    const size = `${formatCount(nodes.length)} operations, above the limit of ${formatCount(programLimits.nodes)}`;
    this.#complaints.add(this.#at, `The merge takes ${size}: merge fewer models at once, or in fewer steps`);
  }

  #check(tensor: string, base: number | undefined, perModel: readonly Values[], merge: Values): void {
    const models = perModel.filter((_, model) => this.#method.base === "none" || model !== base);
    const problem = this.#method.check({ models, merge });
    if (problem !== undefined) this.#complaints.add(this.#at, `Cannot merge tensor ${quote(tensor)}: ${problem}`);
  }
}

/** The program of a tensor that is taken as it is. */
export const copyProgram: Program = (() => {
  const graph = new Graph();
  return graph.finish(graph.input());
})();

/**
 * A reduction over the whole model needs one answer for all its tensors, so whatever it depends on must not change
 * from tensor to tensor.
 */
export class OneModel {
  readonly #modelwide = new Map<Program, boolean>();
  #first: (TensorProgram & { readonly name: string }) | undefined;
  /** A tensor that is merged otherwise than the first. */
  #other: string | undefined;

  add(name: string, { program, parameters }: TensorProgram): void {
    const isModelwide = this.#modelwide.get(program) ?? schedule(program).modelwide;
    this.#modelwide.set(program, isModelwide);
    if (!isModelwide) return;
    this.#first ??= { name, program, parameters };
    if (program !== this.#first.program || parameters !== this.#first.parameters) this.#other ??= name;
  }

  /** Complains if there were two ways to merge. */
  check(at: Position, complaints: Complaints): void {
    if (this.#first === undefined || this.#other === undefined) return;
    const remedy = "give every parameter one value for all tensors";
    complaints.add(
      at,
      `A merge with "scope: model" looks at all tensors at once, but ${quote(this.#first.name)} and ${quote(this.#other)} have different parameters: ${remedy}`,
    );
  }
}

function evaluate(
  settings: ReadonlyMap<string, BoundSetting>,
  tensor: string,
  layer: LayerPosition | undefined,
): Values {
  const values: Values = {};
  for (const [name, setting] of settings) values[name] = setting(tensor, layer);
  return values;
}

/** What of the values shapes the expression: everything but the numbers that stay symbolic. */
function structureOf(values: Values, specs: ParameterSpecs): unknown {
  return Object.entries(values).map(([name, value]) => {
    const spec = specs[name];
    const isSlot = spec?.kind === "number" && typeof value === "number" && value !== spec.neutral;
    return [name, isSlot ? "number" : (value ?? null)];
  });
}
