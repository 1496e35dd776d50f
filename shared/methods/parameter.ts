/**
 * What a merge method's parameter may be. A number with neither a default nor `optional` must be given by the recipe.
 * Numbers stay symbolic in a method's expression, so one compiled program serves every layer; integers, booleans and
 * choices shape the expression.
 */
export type ParameterSpec = NumberSpec | IntegerSpec | BooleanSpec | ChoiceSpec;

export interface NumberSpec {
  readonly kind: "number";
  readonly default?: number;
  /** May be left out, and leaving it out is not the same as any number: the method is then told so. */
  readonly optional?: true;
  /** At this value the parameter does nothing: the method is told so, and leaves out the passes that it would take. */
  readonly neutral?: number;
  /** Inclusive bounds. */
  readonly min?: number;
  readonly max?: number;
  readonly help: string;
}

/** A whole number that says how often something is done. For any other whole number, {@link NumberSpec} will do. */
export interface IntegerSpec {
  readonly kind: "integer";
  readonly default: number;
  /** Inclusive bounds. The upper one bounds the size of the program. */
  readonly min: number;
  readonly max: number;
  readonly help: string;
}

export interface BooleanSpec {
  readonly kind: "boolean";
  readonly default: boolean;
  readonly help: string;
}

export interface ChoiceSpec<Word extends string = string> {
  readonly kind: "choice";
  readonly choices: readonly Word[];
  readonly default: Word;
  /** What `true` and `false` stand for, where mergekit has a boolean here. */
  readonly booleans?: { readonly true: Word; readonly false: Word };
  readonly help: string;
}

export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

export type ParameterValue = number | boolean | string;

export function number<const Spec extends Omit<NumberSpec, "kind">>(spec: Spec): Spec & { readonly kind: "number" } {
  return { kind: "number", ...spec };
}

export function integer(spec: Omit<IntegerSpec, "kind">): IntegerSpec {
  return { kind: "integer", ...spec };
}

export function boolean(spec: Omit<BooleanSpec, "kind">): BooleanSpec {
  return { kind: "boolean", ...spec };
}

export function choice<const Word extends string>(spec: Omit<ChoiceSpec<Word>, "kind">): ChoiceSpec<Word> {
  return { kind: "choice", ...spec };
}
