import { type Expression, Graph } from "../expression/expression.js";
import { assertRunnable } from "../expression/passes.js";
import type { Program } from "../expression/program.js";
import type { ParameterSpec, ParameterSpecs, ParameterValue } from "./parameter.js";

/**
 * What a method does with the recipe's `base_model`. `"required"`: there must be one. `"optional"`: with one, the method
 * works on differences from it. `"none"`: no model is special, and a base that takes part is one of the models.
 */
export type BaseUse = "required" | "optional" | "none";

/**
 * A merge method: what a recipe may say about it, and one output tensor as an expression of the input tensors. From
 * this alone come recipe validation, `amalgam methods`, the documentation table and the programs that agents run.
 */
export interface MergeMethod {
  /** The name a recipe uses in `merge_method`. */
  readonly name: string;
  readonly title: string;
  readonly reference: { readonly title: string; readonly url?: string };
  /** What it does and when to use it, in a sentence or two. */
  readonly summary: string;
  readonly base: BaseUse;
  /** How many models besides the base it takes. */
  readonly models: { readonly min: number; readonly max: number };
  readonly perModel: ParameterSpecs;
  readonly merge: ParameterSpecs;
  /** Parameters that mergekit accepts here and that change nothing, each with the reason. */
  readonly inert: Readonly<Record<string, string>>;
  /** Builds the expression; see {@link buildProgram}. */
  readonly output: (inputs: MethodInputs<ParameterSpecs, ParameterSpecs, BaseUse>) => Expression;
  /** What is wrong with these values, if anything: called by the planner for every tensor, before any data is read. */
  readonly check: (values: MethodValues) => string | undefined;
}

/** What a method's `output` sees of a parameter: numbers are symbolic, all else is known. */
type Symbol<Spec extends ParameterSpec> = Spec extends { kind: "number" }
  ? Spec extends { optional: true } | { neutral: number }
    ? Expression | undefined
    : Expression
  : Spec extends { kind: "integer" }
    ? number
    : Spec extends { kind: "boolean" }
      ? boolean
      : Spec extends { kind: "choice"; choices: readonly (infer Word)[] }
        ? Word
        : never;

type Symbols<Specs extends ParameterSpecs> = { readonly [Name in keyof Specs]: Symbol<Specs[Name]> };

export type MethodModel<PerModel extends ParameterSpecs> = Symbols<PerModel> & {
  readonly tensor: Expression;
  /** The model's place among all of the merge's models; numbers its random stream. */
  readonly index: number;
};

export type MethodInputs<
  PerModel extends ParameterSpecs,
  Merge extends ParameterSpecs,
  Base extends BaseUse,
> = Symbols<Merge> & {
  /** The models in the recipe's order, the base not among them unless the method has no base. */
  readonly models: readonly MethodModel<PerModel>[];
} & (Base extends "required"
    ? { readonly base: Expression }
    : Base extends "optional"
      ? { readonly base: Expression | undefined }
      : unknown);

/** Concrete values, for {@link MergeMethod.check}. */
export interface MethodValues {
  readonly models: readonly Readonly<Record<string, ParameterValue | undefined>>[];
  readonly merge: Readonly<Record<string, ParameterValue | undefined>>;
}

/** Defines a merge method; parameter types follow from the specs, so a misspelt parameter does not compile. */
export function defineMethod<
  const PerModel extends ParameterSpecs,
  const Merge extends ParameterSpecs,
  const Base extends BaseUse,
>(definition: {
  name: string;
  title: string;
  reference: { title: string; url?: string };
  summary: string;
  base: Base;
  models?: { min: number; max: number };
  perModel: PerModel;
  merge: Merge;
  inert?: Readonly<Record<string, string>>;
  output: (inputs: MethodInputs<PerModel, Merge, Base>) => Expression;
  check?: (values: MethodValues) => string | undefined;
}): MergeMethod {
  const { output, ...described } = definition;
  return {
    models: { min: 1, max: Number.POSITIVE_INFINITY },
    inert: {},
    check: () => undefined,
    ...described,
    // buildProgram() gives each method exactly the inputs that its own specs describe.
    output: output as MergeMethod["output"],
  };
}

/** One number that a program takes per tensor: which parameter, and of which model unless it is the whole merge's. */
export interface ParameterSlot {
  readonly parameter: string;
  readonly model?: number;
}

export interface BuiltProgram {
  readonly program: Program;
  /** What to put in each of the program's parameter slots. */
  readonly slots: readonly ParameterSlot[];
}

/**
 * The program of a method for a merge of `names.length` models. `base` is the base's place among them, if there is one.
 * The values decide booleans, choices and integers, and which optional numbers are there; numbers stay symbolic.
 */
export function buildProgram(
  method: MergeMethod,
  names: readonly string[],
  base: number | undefined,
  values: { perModel: readonly Readonly<Record<string, ParameterValue | undefined>>[]; merge: MethodValues["merge"] },
): BuiltProgram {
  const graph = new Graph();
  const slots: ParameterSlot[] = [];
  const symbols = (specs: ParameterSpecs, given: MethodValues["merge"], model?: number): Record<string, unknown> => {
    const named: Record<string, unknown> = {};
    for (const [parameter, spec] of Object.entries(specs)) {
      if (spec.kind !== "number") named[parameter] = given[parameter];
      else if (given[parameter] !== undefined && given[parameter] !== spec.neutral) {
        slots.push({ parameter, ...(model === undefined ? {} : { model }) });
        named[parameter] = graph.parameter(model === undefined ? parameter : `${parameter} of "${names[model]}"`);
      }
    }
    return named;
  };
  const tensors = names.map(() => graph.input());
  const models = tensors
    .map((tensor, index) => ({ tensor, index }))
    .filter(({ index }) => method.base === "none" || index !== base)
    .map((model) => ({ ...model, ...symbols(method.perModel, values.perModel[model.index] ?? {}, model.index) }));
  const inputs = {
    ...symbols(method.merge, values.merge),
    models,
    base: base === undefined ? undefined : tensors[base],
  };
  const program = graph.finish(method.output(inputs as unknown as Parameters<MergeMethod["output"]>[0]));
  assertRunnable(program);
  return { program, slots };
}
