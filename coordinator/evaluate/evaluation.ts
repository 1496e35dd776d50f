import { mkdir } from "node:fs/promises";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { chosenTasks } from "./chosen-tasks.js";
import { type CommonGround, commonGround } from "./common-ground.js";
import { assembleEvaluationCrew } from "./crew.js";
import { openExport } from "./exports/export-graphs.js";
import type { EvaluationJob } from "./job.js";
import { EvaluationJournal } from "./journal.js";
import type { Prepared } from "./kinds/context.js";
import { prepareTask } from "./kinds/prepare.js";
import { Part } from "./part.js";
import { prepareContext, RowCache } from "./prepare-context.js";
import { writeResults } from "./results/write.js";
import { runSlices, scoreComplete } from "./run-slices.js";
import { Subject } from "./subject.js";
import type { AnyTask } from "./tasks/settings.js";
import type { EvaluationResult } from "./types.js";

export type { EvaluationEvent, EvaluationJob } from "./job.js";

/**
 * Task file → tasks → batches → slices → agents → answers → records → metrics. All that can be wrong with task file, data,
 * configs and headers is found before a byte of weights moves. Interrupted, the same call with an output folder goes on
 * where it was.
 */
export async function evaluate(job: EvaluationJob): Promise<EvaluationResult> {
  const { signal, output, onEvent } = job;
  const tasks = await chosenTasks(job);
  const exported = job.graph === undefined ? undefined : await openExport(job.graph);
  if (exported !== undefined) onEvent?.({ type: "exported", notes: exported.notes });
  const subjects = await Promise.all(job.models.map((model) => Subject.open(model, { signal, exported })));
  if (output !== undefined) await makeFolder(output);
  await using journal = output === undefined ? undefined : await EvaluationJournal.open(output);
  // Agents that run elsewhere are asked first what they run on, since that decides between graphs.
  await using running = job.agents.kind === "local" ? undefined : await assembleEvaluationCrew(job, subjects);
  const ground = commonGround(job, running);
  const parts = await prepareParts(job, { subjects, tasks, journal, ground });
  await scoreComplete(job, parts);
  if (!parts.every(({ isComplete }) => isComplete)) {
    await using started = running === undefined ? await assembleEvaluationCrew(job, subjects) : undefined;
    const crew = running ?? started;
    if (crew !== undefined) await runSlices(crew.agents, { ...job, threads: ground.threads }, parts);
  }
  await journal?.settled();
  const result = {
    ...{ version: packageVersion(), taskFile: job.taskFile, threads: ground.threads },
    models: parts.map((part) => part.result),
  };
  if (output !== undefined) await writeResults(output, result);
  await journal?.remove();
  return result;
}

interface Preparation {
  readonly subjects: readonly Subject[];
  readonly tasks: readonly AnyTask[];
  readonly journal: EvaluationJournal | undefined;
  readonly ground: CommonGround;
}

/** One model after the other: each has a tokenizer of its own, and graphs. */
async function prepareParts(
  { signal, onEvent }: EvaluationJob,
  { subjects, tasks, journal, ground: { target, threads } }: Preparation,
): Promise<readonly Part[]> {
  const rows = new RowCache();
  const parts: Part[] = [];
  for (const subject of subjects) {
    signal?.throwIfAborted();
    const prepared: Prepared[] = [];
    const context = prepareContext(subject, rows, target, signal);
    for (const task of tasks) prepared.push(await prepareTask(task, context));
    const part = new Part(subject, prepared, { journal, threads });
    parts.push(part);
    onEvent?.({ type: "prepared", model: part.name, family: part.family, tasks: tasks.length });
  }
  return parts;
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    const { message, details } = AmalgamError.from(cause);
    const isFile = details["errno"] === "EEXIST" || details["errno"] === "ENOTDIR";
    const problem = isFile ? "it is a file, or below one" : message;
    throw new AmalgamError("output_refused", `Cannot make the folder ${quote(path)}: ${problem}`, { cause });
  }
}
