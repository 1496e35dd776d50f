import { quote } from "../../../shared/quote.js";
import type { Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import { describe, didYouMeanOrOneOf, quoteAll } from "../../recipe/wording.js";
import { numberOf } from "../../recipe/yaml/node.js";
import type { OptionSpec, OptionValues, SearchKind } from "../search/searching.js";
import type { Budget, SweepSpec } from "../types.js";

/** `search: tpe`, or a mapping with the kind and its options. */
export function readSearch(
  root: Fields,
  kinds: readonly SearchKind[],
  complaints: Complaints,
): SweepSpec["search"] | undefined {
  const names = kinds.map(({ name }) => name);
  if (!root.has("search")) return root.missing("search", `, expected one of ${quoteAll(names)}`);
  const node = root.entry("search")?.value;
  const fields = node?.kind === "mapping" ? new Fields(node, complaints) : undefined;
  const written =
    fields === undefined ? root.text("search") : fields.has("kind") ? fields.text("kind") : fields.missing("kind");
  if (written === undefined) return undefined;
  const { value, at } = written;
  const kind = kinds.find(({ name }) => name === value);
  if (kind === undefined) {
    return complaints.add(at, `Unknown search ${quote(value)}${didYouMeanOrOneOf(value, names)}`);
  }
  fields?.checkKeys(["kind", ...Object.keys(kind.options)]);
  const options: Record<string, OptionValues[string]> = {};
  for (const [name, spec] of Object.entries(kind.options)) {
    options[name] = (fields?.has(name) ? readOption(fields, name, spec, complaints) : undefined) ?? spec.default;
  }
  return { kind, options, at };
}

function readOption(fields: Fields, name: string, spec: OptionSpec, complaints: Complaints): OptionValues[string] {
  switch (spec.kind) {
    case "boolean":
      return fields.boolean(name);
    case "choice":
      return readChoice(fields, name, spec.values, complaints);
    case "integer":
      return fields.wholeNumber(name, spec.low, spec.high);
    case "number": {
      const node = fields.entry(name)?.value;
      const value = node && numberOf(node);
      if (node === undefined || (value !== undefined && value >= spec.low && value <= spec.high)) return value;
      const wanted = Number.isFinite(spec.high)
        ? `a number from ${spec.low} to ${spec.high}`
        : `a number of at least ${spec.low}`;
      return complaints.add(node.at, `Key ${quote(name)} must be ${wanted}, found ${describe(node)}`);
    }
  }
}

/** A choice may look like a number. */
function readChoice(fields: Fields, name: string, values: readonly string[], complaints: Complaints) {
  const node = fields.entry(name)?.value;
  const word = node?.kind === "scalar" ? String(node.value) : undefined;
  if (node === undefined || (word !== undefined && values.includes(word))) return word;
  const hint = word === undefined ? `, expected one of ${quoteAll(values)}` : didYouMeanOrOneOf(word, values);
  return complaints.add(node.at, `Key ${quote(name)} cannot be ${describe(node).replace("the string ", "")}${hint}`);
}

export function readBudget(root: Fields, complaints: Complaints): Budget {
  const mapping = root.mapping("budget");
  if (mapping === undefined) return {};
  const fields = new Fields(mapping, complaints);
  fields.checkKeys(["trials", "examples", "minutes"]);
  if (["trials", "examples", "minutes"].every((key) => !fields.has(key))) {
    complaints.add(mapping.at, 'Key "budget" has no limit, it needs "trials", "examples" or "minutes"');
  }
  const trials = fields.wholeNumber("trials", 1);
  const examples = fields.wholeNumber("examples", 1);
  const minutes = readMinutes(fields, complaints);
  return {
    ...(trials === undefined ? {} : { trials }),
    ...(examples === undefined ? {} : { examples }),
    ...(minutes === undefined ? {} : { minutes }),
  };
}

function readMinutes(fields: Fields, complaints: Complaints): number | undefined {
  const node = fields.entry("minutes")?.value;
  const value = node && numberOf(node);
  if (node === undefined || (value !== undefined && value > 0 && Number.isFinite(value))) return value;
  return complaints.add(node.at, `Key "minutes" must be a number above 0, found ${describe(node)}`);
}
