import { quote, quoteList } from "../../../shared/quote.js";
import { maxRows } from "../../evaluate/data/limits.js";
import { readTasks } from "../../evaluate/tasks/read.js";
import type { AnyTask } from "../../evaluate/tasks/settings.js";
import type { Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import type { Located, Position } from "../../recipe/recipe.js";
import { describe, didYouMean } from "../../recipe/wording.js";
import { numberOf, type YamlList, type YamlMapping } from "../../recipe/yaml/node.js";
import type { SweepTasks } from "../types.js";
import { adoptLater } from "./adopt.js";
import { beside } from "./beside.js";

/** Every task is a call to the agents for each trial. */
const maxTasks = 1_000;

/** Every rung is another evaluation of a trial that goes on. */
const maxRungs = 32;

/** What `tasks:` says, but for experts, which are models of the recipe. */
export interface ReadTasks {
  readonly settings: Omit<SweepTasks, "experts">;
  /** Those that are asked for. */
  readonly tasks: readonly AnyTask[];
  /** By task, as written. */
  readonly experts: ReadonlyMap<string, { readonly keyAt: Position; readonly model: Located<string> }>;
}

/** `tasks: tasks.yaml`, or a mapping with more to say. */
export async function readSweepTasks(
  root: Fields,
  sweepFile: string,
  complaints: Complaints,
): Promise<ReadTasks | undefined> {
  if (!root.has("tasks")) return root.missing("tasks");
  const node = root.entry("tasks")?.value;
  const fields = node?.kind === "mapping" ? new Fields(node, complaints) : undefined;
  fields?.checkKeys(["file", "only", "limit", "shuffle", "hold_out", "rungs", "experts"]);
  const written =
    fields === undefined ? root.text("tasks") : fields.has("file") ? fields.text("file") : fields.missing("file");
  const limit = fields?.wholeNumber("limit", 1, maxRows);
  const rungs = readRungs(fields?.list("rungs"), limit, complaints);
  const only = fields?.list("only");
  const experts = readExperts(fields?.mapping("experts"), complaints);
  const holdOut = await readHoldOut(fields, sweepFile, complaints);
  const shuffle = fields?.boolean("shuffle") ?? (holdOut !== undefined || rungs.length > 0);
  if (written === undefined) return undefined;

  const file = beside(sweepFile, written.value);
  const all = await adoptLater(() => readTasks(file), sweepFile, written.at, complaints);
  if (all === undefined) return undefined;
  const chosen = only === undefined ? all : chooseTasks(only, all, complaints);
  if (chosen.length > maxTasks) {
    complaints.add(
      written.at,
      `There are ${chosen.length} tasks, more than the limit of ${maxTasks}: choose with "only"`,
    );
  }
  for (const [task, { keyAt }] of experts) findTask({ value: task, at: keyAt }, chosen, complaints);
  if (holdOut !== undefined && holdOut.tasks !== undefined) checkHeldOut(chosen, holdOut, complaints);
  const names = only === undefined ? undefined : chosen.map(({ name }) => name);
  return { settings: { file, only: names, limit, shuffle, holdOut: holdOut?.value, rungs }, tasks: chosen, experts };
}

/** `words`: what may stand there besides tasks. */
export function complainUnknownTask(
  { value, at }: Located<string>,
  words: readonly string[],
  tasks: readonly AnyTask[],
  complaints: Complaints,
): undefined {
  const names = [...words, ...tasks.map(({ name }) => name)];
  const hint = didYouMean(value, names) || `; there are ${quoteList(names, 8)}`;
  return complaints.add(at, `Unknown task ${quote(value)}${hint}`);
}

function findTask(written: Located<string>, tasks: readonly AnyTask[], complaints: Complaints): AnyTask | undefined {
  const found = tasks.find(({ name }) => name === written.value);
  return found ?? complainUnknownTask(written, [], tasks, complaints);
}

function chooseTasks(only: YamlList, all: readonly AnyTask[], complaints: Complaints): readonly AnyTask[] {
  if (only.items.length === 0) complaints.add(only.at, 'Key "only" is an empty list');
  const chosen = new Set(
    only.items.map((item) => {
      if (item.kind === "scalar" && item.value !== null) {
        return findTask({ value: String(item.value), at: item.at }, all, complaints);
      }
      return complaints.add(item.at, `Key "only" must have names of tasks, found ${describe(item)}`);
    }),
  );
  return all.filter((task) => chosen.has(task));
}

/** Numbers of examples, or shares of them below 1. */
function readRungs(list: YamlList | undefined, limit: number | undefined, complaints: Complaints): readonly number[] {
  const items = list?.items ?? [];
  if (list !== undefined && items.length > maxRungs) {
    complaints.add(list.at, `There are ${items.length} rungs, more than the limit of ${maxRungs}`);
    return [];
  }
  const rungs: number[] = [];
  for (const item of items) {
    const value = numberOf(item);
    const last = rungs.at(-1);
    if (value === undefined || !(isShare(value) || (Number.isSafeInteger(value) && value >= 1 && value <= maxRows))) {
      complaints.add(item.at, `A rung is a number of examples, or a share of them below 1; found ${describe(item)}`);
    } else if (last !== undefined && isShare(last) !== isShare(value)) {
      complaints.add(item.at, `Rungs are either numbers of examples or shares, found ${last} and ${value}`);
    } else if (last !== undefined && value <= last) {
      complaints.add(item.at, `Rungs must ascend, found ${value} after ${last}`);
    } else if (limit !== undefined && value >= limit) {
      complaints.add(item.at, `Rung ${value} is no part of ${limit} examples, the limit: the last rung is all of them`);
    } else rungs.push(value);
  }
  return rungs;
}

function isShare(value: number): boolean {
  return value > 0 && value < 1;
}

function readExperts(mapping: YamlMapping | undefined, complaints: Complaints): ReadTasks["experts"] {
  const experts = new Map<string, { readonly keyAt: Position; readonly model: Located<string> }>();
  for (const [task, { keyAt, value }] of mapping?.entries ?? []) {
    if (value.kind === "scalar" && typeof value.value === "string") {
      experts.set(task, { keyAt, model: { value: value.value, at: value.at } });
    } else
      complaints.add(value.at, `The expert of ${quote(task)} must be a model of the recipe, found ${describe(value)}`);
  }
  return experts;
}

interface HoldOut {
  readonly value: NonNullable<SweepTasks["holdOut"]>;
  /** Of a task file. */
  readonly tasks?: readonly AnyTask[] | undefined;
  readonly at: Position;
}

async function readHoldOut(
  fields: Fields | undefined,
  sweepFile: string,
  complaints: Complaints,
): Promise<HoldOut | undefined> {
  const node = fields?.entry("hold_out")?.value;
  if (node === undefined) return undefined;
  const { at } = node;
  const share = numberOf(node);
  if (share !== undefined && isShare(share)) return { value: share, at };
  if (share !== undefined || node.kind !== "scalar" || typeof node.value !== "string") {
    return complaints.add(at, `Key "hold_out" must be a share between 0 and 1 or a task file, found ${describe(node)}`);
  }
  const file = beside(sweepFile, node.value);
  return { value: { file }, tasks: await adoptLater(() => readTasks(file), sweepFile, at, complaints), at };
}

/** What is judged at the end must be what was searched for. */
function checkHeldOut(tasks: readonly AnyTask[], { tasks: held = [], at }: HoldOut, complaints: Complaints): void {
  for (const { name, kind } of tasks) {
    const other = held.find((task) => task.name === name);
    if (other === undefined) complaints.add(at, `The task file of "hold_out" has no task ${quote(name)}`);
    else if (other.kind !== kind) {
      complaints.add(
        at,
        `Task ${quote(name)} is of kind "${other.kind}" in the task file of "hold_out", elsewhere "${kind}"`,
      );
    }
  }
}
