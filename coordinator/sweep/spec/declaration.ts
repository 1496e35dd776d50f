import { quote } from "../../../shared/quote.js";
import { allOrNone, type Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import type { Located, Position } from "../../recipe/recipe.js";
import { describe, describeValue } from "../../recipe/wording.js";
import { numberOf, type YamlMapping, type YamlNode } from "../../recipe/yaml/node.js";
import type { ParameterValue } from "../space.js";
import { type Grouping, readGrouping } from "./grouping.js";
import { type RangeValues, readRange } from "./range.js";

/** A choice has no order, so nothing is gained by many. */
const maxChoices = 1_000;

/** The keys of a mapping that stands where a value is searched for. */
export const declarationKeys = ["range", "choices", "step", "integer", "scale", "start", "groups", "name"];

/** What an author writes in place of a value: what it may be. One dimension, or one for each of its groups. */
export type Declaration = {
  readonly at: Position;
  /** What its author calls it. */
  readonly label: Located<string> | undefined;
  readonly start?: ParameterValue;
  readonly grouping: Grouping | undefined;
} & Values;

export type Values = RangeValues | { readonly kind: "choice"; readonly values: readonly ParameterValue[] };

/** Whether a mapping is meant as one: it says what there is to choose from. */
export function isDeclaration(node: YamlMapping): boolean {
  return node.entries.has("range") || node.entries.has("choices");
}

export function readDeclaration(mapping: YamlMapping, complaints: Complaints): Declaration | undefined {
  const fields = new Fields(mapping, complaints);
  fields.checkKeys(declarationKeys);
  fields.checkOnlyOne(["range", "choices"], true);
  const label = fields.text("name");
  const grouping = readGrouping(fields, complaints);
  const values = fields.has("range") ? readRange(fields, complaints) : readChoices(fields, complaints);
  if (values === undefined) return undefined;
  const start = fields.entry("start")?.value;
  const common = { at: mapping.at, label, grouping, ...values };
  if (start === undefined) return common;
  const value = readStart(start, values, complaints);
  return value === undefined ? undefined : { ...common, start: value };
}

function readChoices(fields: Fields, complaints: Complaints): Values | undefined {
  const list = fields.list("choices");
  if (list === undefined) return undefined;
  for (const key of ["step", "integer", "scale"]) {
    const entry = fields.entry(key);
    if (entry !== undefined) complaints.add(entry.keyAt, `Key ${quote(key)} cannot stand beside "choices"`);
  }
  const { items, at } = list;
  if (items.length === 0) return complaints.add(at, 'Key "choices" is an empty list');
  if (items.length > maxChoices) {
    return complaints.add(at, `There are ${items.length} choices, more than the limit of ${maxChoices}`);
  }
  const seen = new Set<ParameterValue>();
  const values = allOrNone(
    items.map((item, index) => {
      const value = plainValue(item);
      if (value === undefined) {
        const wanted = "must be a finite number, a string, true or false";
        return complaints.add(item.at, `Choice ${index + 1} ${wanted}, found ${describe(item)}`);
      }
      if (seen.has(value)) return complaints.add(item.at, `Choice ${index + 1} is there twice: ${wordOf(value)}`);
      seen.add(value);
      return value;
    }),
  );
  return values && { kind: "choice", values };
}

/** As recipes read it: a numeral in quotes is a number. */
function plainValue(node: YamlNode): ParameterValue | undefined {
  const value = numberOf(node) ?? (node.kind === "scalar" ? node.value : null);
  return value === null || (typeof value === "number" && !Number.isFinite(value)) ? undefined : value;
}

function readStart(node: YamlNode, values: Values, complaints: Complaints): ParameterValue | undefined {
  const value = plainValue(node);
  if (values.kind === "choice") {
    if (value !== undefined && values.values.includes(value)) return value;
    return complaints.add(node.at, `Start must be one of the choices, found ${describe(node)}`);
  }
  if (typeof value !== "number") {
    return complaints.add(node.at, `Start must be a number of the range, found ${describe(node)}`);
  }
  const { low, high, step } = values;
  if (value < low || value > high) {
    return complaints.add(node.at, `Start ${value} is outside of the range [${low}, ${high}]`);
  }
  if (step === undefined) return value;
  const steps = (value - low) / step;
  if (Math.abs(steps - Math.round(steps)) < 1e-9) return value;
  return complaints.add(node.at, `Start ${value} is not ${low} and some steps of ${step}`);
}

function wordOf(value: ParameterValue): string {
  return typeof value === "string" ? quote(value) : describeValue(value).replace("the number ", "");
}
