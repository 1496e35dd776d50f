import { quote } from "../../../shared/quote.js";
import type { TaskKind } from "../../evaluate/types.js";
import type { Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import type { Located, Position } from "../../recipe/recipe.js";
import { describe, didYouMeanOrOneOf } from "../../recipe/wording.js";
import { numberOf, type YamlNode } from "../../recipe/yaml/node.js";
import type { Objective } from "../types.js";
import { checkMetric, type Goals, nameOf, ownMetric, readOf, readOfKey, tasksOf } from "./goals.js";

/** A front of more is no picture any more. */
const maxObjectives = 100;

/** Kinds of tasks whose models answer with vectors, of which losses are. */
const vectorKinds: readonly TaskKind[] = ["classification", "similarity", "retrieval", "multi_label", "custom"];

/** An objective, and where it was written; line 0: nowhere, it is the default. */
export interface ReadObjective {
  readonly objective: Objective;
  readonly at: Position;
}

/** `objective:` or `objectives:`; without either, the mean over the tasks. */
export function readObjectives(fields: Fields, goals: Goals, complaints: Complaints): readonly ReadObjective[] {
  fields.checkOnlyOne(["objective", "objectives"], false);
  const list = fields.list("objectives");
  if (list !== undefined && list.items.length === 0) complaints.add(list.at, 'Key "objectives" is an empty list');
  if (list !== undefined && list.items.length > maxObjectives) {
    complaints.add(list.at, `There are ${list.items.length} objectives, more than the limit of ${maxObjectives}`);
    return [];
  }
  const single = fields.entry("objective")?.value;
  const nodes = list?.items ?? (single === undefined ? [] : [single]);
  const isDefault = !fields.has("objective") && !fields.has("objectives");
  if (isDefault) return [{ objective: metricObjective("mean", undefined, 1, goals), at: { line: 0, column: 0 } }];
  const read = nodes.map((node) => readObjective(node, goals, complaints)).filter((one) => one !== undefined);
  const seen = new Set<string>();
  for (const { objective, at } of read) {
    if (seen.has(objective.name)) complaints.add(at, `Objective ${quote(objective.name)} is there twice`);
    seen.add(objective.name);
  }
  return read;
}

function readObjective(node: YamlNode, goals: Goals, complaints: Complaints): ReadObjective | undefined {
  const { at } = node;
  if (node.kind === "scalar" && node.value !== null) {
    const of = readOf({ value: String(node.value), at }, goals, complaints);
    return of && { objective: metricObjective(of, undefined, 1, goals), at };
  }
  if (node.kind !== "mapping") {
    const wanted = '"mean", "worst", a task or a mapping like "{ of: mean, metric: acc }"';
    return complaints.add(at, `An objective must be ${wanted}, found ${describe(node)}`);
  }
  const fields = new Fields(node, complaints);
  fields.checkKeys(["of", "metric", "loss", "weight"]);
  fields.checkOnlyOne(["metric", "loss"], false);
  const of = readOfKey(fields, goals, complaints);
  const weight = readWeight(fields, complaints);
  const metric = fields.text("metric");
  const loss = fields.text("loss");
  if (of === undefined || weight === undefined) return undefined;
  if (loss === undefined) {
    if (!checkMetric(metric, of, goals, complaints)) return undefined;
    return { objective: metricObjective(of, metric?.value, weight, goals), at };
  }
  if (!checkLoss(loss, of, goals, complaints)) return undefined;
  const name = of === "mean" ? loss.value : `${nameOf(of)} ${loss.value}`;
  return { objective: { name, of, weight, kind: "loss", loss: loss.value }, at };
}

function metricObjective(of: Objective["of"], metric: string | undefined, weight: number, goals: Goals): Objective {
  const name = [nameOf(of), metric ?? ownMetric(of, goals)].filter((word) => word !== undefined).join(" ");
  return { name, of, weight, kind: "metric", metric };
}

function readWeight(fields: Fields, complaints: Complaints): number | undefined {
  const node = fields.entry("weight")?.value;
  if (node === undefined) return 1;
  const value = numberOf(node);
  if (value !== undefined && value > 0 && Number.isFinite(value)) return value;
  return complaints.add(node.at, `Key "weight" must be a number above 0, found ${describe(node)}`);
}

function checkLoss(loss: Located<string>, of: Objective["of"], goals: Goals, complaints: Complaints): boolean {
  const names = goals.losses.map(({ name }) => name);
  const found = goals.losses.find(({ name }) => name === loss.value);
  if (found === undefined) {
    complaints.add(loss.at, `Unknown loss ${quote(loss.value)}${didYouMeanOrOneOf(loss.value, names)}`);
    return false;
  }
  for (const { name, kind } of tasksOf(of, goals)) {
    const needs = `Loss ${quote(loss.value)} needs`;
    const task = `task ${quote(name)} is of kind "${kind}"`;
    if (!vectorKinds.includes(kind)) complaints.add(loss.at, `${needs} a model's logits or embeddings, ${task}`);
    else if (found.needsClasses && kind !== "classification")
      complaints.add(loss.at, `${needs} right classes, ${task}`);
    else continue;
    return false;
  }
  return true;
}
