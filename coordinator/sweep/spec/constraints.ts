import { quote } from "../../../shared/quote.js";
import type { Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import { describe } from "../../recipe/wording.js";
import { numberOf, type YamlNode } from "../../recipe/yaml/node.js";
import type { Constraint } from "../types.js";
import { checkMetric, type Goals, nameOf, ownMetric, readOfKey } from "./goals.js";

/** More than there are metrics of all tasks together. */
const maxConstraints = 1_000;

/** What must hold besides. */
export function readConstraints(fields: Fields, goals: Goals, complaints: Complaints): readonly Constraint[] {
  const list = fields.list("constraints");
  if (list !== undefined && list.items.length > maxConstraints) {
    complaints.add(list.at, `There are ${list.items.length} constraints, more than the limit of ${maxConstraints}`);
    return [];
  }
  return (list?.items ?? []).flatMap((node) => readConstraint(node, goals, complaints) ?? []);
}

function readConstraint(node: YamlNode, goals: Goals, complaints: Complaints): Constraint | undefined {
  const { at } = node;
  if (node.kind !== "mapping") {
    const example = '"{ of: mean, metric: acc, at_least: 0.5 }"';
    return complaints.add(at, `A constraint must be a mapping like ${example}, found ${describe(node)}`);
  }
  const fields = new Fields(node, complaints);
  fields.checkKeys(["of", "metric", "at_least", "at_most"]);
  const of = readOfKey(fields, goals, complaints);
  const metric = fields.text("metric");
  const atLeast = readBound(fields, "at_least", complaints);
  const atMost = readBound(fields, "at_most", complaints);
  if (!fields.has("at_least") && !fields.has("at_most")) fields.checkOnlyOne(["at_least", "at_most"], true);
  if (atLeast !== undefined && atMost !== undefined && atLeast > atMost) {
    return complaints.add(at, `No number is at least ${atLeast} and at most ${atMost}`);
  }
  if (of === undefined || !checkMetric(metric, of, goals, complaints)) return undefined;
  const words = [nameOf(of), metric?.value ?? ownMetric(of, goals)].filter((word) => word !== undefined);
  const bounds = [...(atLeast === undefined ? [] : [`≥ ${atLeast}`]), ...(atMost === undefined ? [] : [`≤ ${atMost}`])];
  return {
    ...{ name: [...words, ...bounds].join(" "), of, metric: metric?.value, at },
    ...(atLeast === undefined ? {} : { atLeast }),
    ...(atMost === undefined ? {} : { atMost }),
  };
}

function readBound(fields: Fields, key: string, complaints: Complaints): number | undefined {
  const node = fields.entry(key)?.value;
  const value = node && numberOf(node);
  if (node === undefined || (value !== undefined && Number.isFinite(value))) return value;
  return complaints.add(node.at, `Key ${quote(key)} must be a number, found ${describe(node)}`);
}
