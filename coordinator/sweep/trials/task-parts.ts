import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { chosenTasks } from "../../evaluate/chosen-tasks.js";
import type { DataSource } from "../../evaluate/data/source.js";
import { readRelevance } from "../../evaluate/kinds/relevance.js";
import type { RowCache } from "../../evaluate/prepare-context.js";
import { renderText } from "../../evaluate/tasks/render.js";
import type { AnyTask } from "../../evaluate/tasks/settings.js";
import type { Row } from "../../evaluate/types.js";
import { Random } from "../search/random.js";
import type { SegmentPart, SweepSpec } from "../types.js";
import { defaultRungs, splitExamples } from "./split.js";

/** Some rows of a task's examples, wherever they come from. */
export interface ExampleRows {
  /** The task as it is prepared for these examples: of another file than the sweep's, if they are held out there. */
  readonly task: AnyTask;
  readonly part: SegmentPart;
  readonly rows: readonly Row[];
  /** Where each row stands among all of the task, from 0: its id where the author gives none. */
  readonly places: readonly number[];
}

/** The examples of one task, divided. */
export interface TaskParts {
  readonly task: AnyTask;
  readonly parts: readonly ExampleRows[];
}

/**
 * Reads the tasks of a sweep and divides their examples: what is held out, what each rung adds. It follows from task
 * files, data and seed, never from a model. Without any of it the one part has the rows that `amalgam eval` takes.
 */
export async function readTaskParts(
  spec: Pick<SweepSpec, "tasks" | "search" | "seed">,
  rows: RowCache,
): Promise<readonly TaskParts[]> {
  const { tasks, search, seed } = spec;
  const chosen = await chosenTasks({ taskFile: tasks.file, models: [], ...choiceOf(tasks) });
  const rungs = tasks.rungs.length === 0 && search.kind.rungs === true ? defaultRungs : tasks.rungs;
  const holdOut = typeof tasks.holdOut === "number" ? tasks.holdOut : undefined;
  const elsewhere = typeof tasks.holdOut === "object" ? await tasksOf(tasks.holdOut.file, chosen) : undefined;
  const all: TaskParts[] = [];
  for (const [i, task] of chosen.entries()) {
    const examples = await examplesOf(task, rows, tasks.shuffle);
    const order = tasks.shuffle
      ? new Random(seed, `examples of ${task.name}`).permutation(examples.length).slice(0, task.limit)
      : examples.map((_, place) => place);
    const place = `${task.file}:${task.at.line}:${task.at.column}  Task ${quote(task.name)}`;
    const parts = splitExamples(order, { holdOut, rungs }, place).map(({ part, examples: places }) => {
      return { task, part, places, rows: places.flatMap((at) => examples[at] ?? []) };
    });
    const other = elsewhere?.[i];
    all.push({ task, parts: other === undefined ? parts : [...parts, await wholeOf(other, rows)] });
  }
  return all;
}

/** Whose rows a task's examples are: those of the queries, where it retrieves. */
export function exampleData(task: AnyTask): DataSource {
  return task.kind === "retrieval" ? task.settings.queries.data : task.settings.data;
}

function choiceOf({ only, limit }: SweepSpec["tasks"]) {
  return { ...(only === undefined ? {} : { tasks: only }), ...(limit === undefined ? {} : { limit }) };
}

/** The rows that a task may take its examples from: those that count, up to its limit unless they are shuffled first. */
async function examplesOf(task: AnyTask, rows: RowCache, isShuffled: boolean): Promise<readonly Row[]> {
  const limit = isShuffled ? undefined : task.limit;
  const data = exampleData(task);
  if (task.kind !== "retrieval") return rows.read(data, { limit });
  const { id } = task.settings.queries;
  const relevance = await readRelevance(task.settings, { readRows: (source, options) => rows.read(source, options) });
  const judged = (await rows.read(data, {})).filter((row) => relevance.has(renderText(id, row)));
  return judged.slice(0, limit);
}

async function wholeOf(task: AnyTask, cache: RowCache): Promise<ExampleRows> {
  const rows = await examplesOf(task, cache, false);
  return { task, part: "held out", rows, places: rows.map((_, place) => place) };
}

/** The tasks of the same names in another file. */
async function tasksOf(file: string, tasks: readonly AnyTask[]): Promise<readonly AnyTask[]> {
  const others = await chosenTasks({ taskFile: file, models: [] });
  return tasks.map(({ name, kind }) => {
    const other = others.find((one) => one.name === name);
    if (other?.kind === kind) return other;
    const problem =
      other === undefined ? "has no task of that name" : `has it as ${quote(other.kind)}, not ${quote(kind)}`;
    throw new AmalgamError("usage", `Cannot hold out examples of task ${quote(name)}: ${quote(file)} ${problem}`);
  });
}
