import { quote } from "../../../shared/quote.js";
import { metricsOf } from "../../evaluate/metrics/metrics-of.js";
import type { AnyTask } from "../../evaluate/tasks/settings.js";
import type { Complaints } from "../../recipe/complaints.js";
import type { Fields } from "../../recipe/fields.js";
import type { Located } from "../../recipe/recipe.js";
import { didYouMeanOrOneOf } from "../../recipe/wording.js";
import type { AnswerLoss } from "../losses/answer-loss.js";
import type { Objective } from "../types.js";
import { complainUnknownTask } from "./tasks.js";

/** What objectives and constraints are made of. */
export interface Goals {
  readonly tasks: readonly AnyTask[];
  readonly losses: readonly AnswerLoss[];
}

export function readOfKey(fields: Fields, goals: Goals, complaints: Complaints): Objective["of"] | undefined {
  if (!fields.has("of")) return "mean";
  const written = fields.text("of");
  return written && readOf(written, goals, complaints);
}

export function readOf(
  written: Located<string>,
  { tasks }: Goals,
  complaints: Complaints,
): Objective["of"] | undefined {
  if (written.value === "mean" || written.value === "worst") return written.value;
  if (tasks.some(({ name }) => name === written.value)) return { task: written.value };
  // Without a task file there is nothing to know tasks from.
  return tasks.length === 0 ? undefined : complainUnknownTask(written, ["mean", "worst"], tasks, complaints);
}

/** A metric must be one of every task that it is taken of; a custom task's are its module's to name. */
export function checkMetric(
  metric: Located<string> | undefined,
  of: Objective["of"],
  goals: Goals,
  complaints: Complaints,
): boolean {
  if (metric === undefined) return true;
  for (const task of tasksOf(of, goals)) {
    const names = metricNames(task);
    if (task.kind === "custom" || names.includes(metric.value)) continue;
    const hint = didYouMeanOrOneOf(metric.value, names);
    complaints.add(metric.at, `Task ${quote(task.name)} has no metric ${quote(metric.value)}${hint}`);
    return false;
  }
  return true;
}

export function tasksOf(of: Objective["of"], { tasks }: Pick<Goals, "tasks">): readonly AnyTask[] {
  return typeof of === "string" ? tasks : tasks.filter(({ name }) => name === of.task);
}

export function nameOf(of: Objective["of"]): string {
  return typeof of === "string" ? of : of.task;
}

/** The metric that stands for the task, or for all of them if it is the same one. */
export function ownMetric(of: Objective["of"], goals: Goals): string | undefined {
  const own = new Set(tasksOf(of, goals).map((task) => task.metric ?? metricNames(task)[0]));
  return own.size === 1 ? [...own][0] : undefined;
}

function metricNames({ kind, settings }: AnyTask): readonly string[] {
  return metricsOf(kind, "at" in settings ? { at: settings.at } : {}).map(({ name }) => name);
}
