import { AmalgamError } from "../../shared/errors.js";
import { quote, quoteList } from "../../shared/quote.js";
import { suggest } from "../../shared/suggest.js";
import { didYouMean } from "../recipe/wording.js";
import type { EvaluationJob } from "./job.js";
import { readTasks } from "./tasks/read.js";
import type { AnyTask } from "./tasks/settings.js";

/** What decides which tasks are evaluated. */
export type TaskChoice = Pick<EvaluationJob, "taskFile" | "tasks" | "limit" | "models" | "onEvent">;

/** The tasks of a job's file that are asked for, with no more examples than the job allows. Fails with what is wrong. */
export async function chosenTasks(job: TaskChoice): Promise<readonly AnyTask[]> {
  const { taskFile, tasks: names, limit } = job;
  const all = await readTasks(taskFile);
  const known = all.map(({ name }) => name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const hint = didYouMean(unknown, known) || `; it has ${quoteList(known)}`;
    throw new AmalgamError("usage", `${quote(taskFile)} has no task ${quote(unknown)}${hint}`);
  }
  const chosen = all
    .filter(({ name }) => names === undefined || names.includes(name))
    .map((task) => (limit === undefined ? task : { ...task, limit: Math.min(limit, task.limit ?? limit) }));
  noteExperts(job, chosen);
  return chosen;
}

/** An expert that is not evaluated is nothing odd, unless its name is nearly that of one that is. */
function noteExperts({ models, onEvent }: TaskChoice, tasks: readonly AnyTask[]): void {
  const names = models.map(({ name }) => name);
  for (const { name, expert, file, at } of tasks) {
    const near = expert === undefined || names.includes(expert) ? undefined : suggest(expert, names);
    if (expert === undefined || near === undefined) continue;
    const place = `${file}:${at.line}:${at.column}`;
    const message = `${place}  Task ${quote(name)} has the expert ${quote(expert)}; did you mean ${quote(near)}?`;
    onEvent?.({ type: "note", message });
  }
}
