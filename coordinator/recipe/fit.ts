import type { ChoiceSpec, ParameterSpec, ParameterValue } from "../../shared/methods/parameter.js";
import { quote } from "../../shared/quote.js";
import { allOrNone, type Complaints } from "./complaints.js";
import type { FilterEntry, Position, RecipeParameter, Setting } from "./recipe.js";
import { describeValue, didYouMeanOrOneOf } from "./wording.js";
import { asBoolean } from "./yaml/node.js";

/**
 * A setting with every value of the type that the method asks for, or a complaint for each that is not:
 *
 * - a number also takes `true` and `false`, as 1 and 0, because mergekit does;
 * - a boolean also takes 1 and 0, and the words that mergekit's YAML 1.1 has for one: `yes`, `no`, `on`, `off`;
 * - a choice takes its words, and a boolean where mergekit has one there.
 *
 * All can change along the layers but whole numbers, which have nothing between them.
 */
export function fitSetting(
  name: string,
  { value: setting, at }: RecipeParameter,
  spec: ParameterSpec,
  complaints: Complaints,
): Setting | undefined {
  const fitter = new SettingFitter(name, spec, complaints);
  if (setting.kind !== "filters") return fitter.fit(setting, at);
  const entries = allOrNone(
    setting.entries.map((entry) => {
      const fitted = fitter.fit(entry.setting, entry.at);
      return fitted && { ...entry, setting: fitted };
    }),
  );
  return entries && { kind: "filters", entries };
}

type NumericSpec = Extract<ParameterSpec, { kind: "number" | "integer" }>;

class SettingFitter {
  readonly #name: string;
  readonly #spec: ParameterSpec;
  readonly #complaints: Complaints;

  constructor(name: string, spec: ParameterSpec, complaints: Complaints) {
    this.#name = name;
    this.#spec = spec;
    this.#complaints = complaints;
  }

  fit(setting: FilterEntry["setting"], at: Position): FilterEntry["setting"] | undefined {
    if (setting.kind === "scalar") {
      const value = this.#value(setting.value, at);
      return value === undefined ? undefined : { kind: "scalar", value };
    }
    if (this.#spec.kind === "integer") {
      return this.#complain(at, "is a whole number and cannot be a list over the layers");
    }
    const values = allOrNone(setting.values.map((value) => this.#value(value, at)));
    return values && { kind: "gradient", values };
  }

  #value(value: ParameterValue, at: Position): ParameterValue | undefined {
    const spec = this.#spec;
    switch (spec.kind) {
      case "number":
      case "integer":
        return this.#number(value, spec, at);
      case "boolean":
        return asBoolean(value) ?? this.#complain(at, `must be true or false, found ${describeValue(value)}`);
      case "choice":
        return this.#choice(value, spec, at);
    }
  }

  #number(value: ParameterValue, spec: NumericSpec, at: Position): number | undefined {
    const number = typeof value === "string" ? undefined : Number(value);
    const isFit = spec.kind === "number" || Number.isSafeInteger(number);
    if (number !== undefined && isFit) return this.#bounded(number, spec, at);
    const wanted = spec.kind === "number" ? "a number" : "a whole number";
    return this.#complain(at, `must be ${wanted}, found ${describeValue(value)}`);
  }

  #bounded(value: number, spec: NumericSpec, at: Position): number | undefined {
    if (spec.min !== undefined && value < spec.min) {
      return this.#complain(at, `is ${value}, below its minimum of ${spec.min}`);
    }
    if (spec.max !== undefined && value > spec.max) {
      return this.#complain(at, `is ${value}, above its maximum of ${spec.max}`);
    }
    return value;
  }

  #choice(value: ParameterValue, spec: ChoiceSpec, at: Position): string | undefined {
    const word = String(value);
    if (spec.choices.includes(word)) return word;
    const boolean = asBoolean(value);
    if (spec.booleans !== undefined && boolean !== undefined) return spec.booleans[boolean ? "true" : "false"];
    return this.#complain(at, `cannot be ${quote(word)}${didYouMeanOrOneOf(word, spec.choices)}`);
  }

  #complain(at: Position, problem: string): undefined {
    return this.#complaints.add(at, `Parameter ${quote(this.#name)} ${problem}`);
  }
}
