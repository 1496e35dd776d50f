import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { AmalgamError } from "../../shared/errors.js";
import { quote, quoteList } from "../../shared/quote.js";
import type { Security } from "../../shared/rpc/security.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { suggest } from "../../shared/suggest.js";
import { unlessAborted } from "../assemble/unless-aborted.js";
import { type DispatchEvent, dispatch } from "../dispatch/dispatcher.js";
import type { JobAgent, JobAgents } from "../job/job-agents.js";
import type { AgentsWanted } from "../job/types.js";
import { didYouMean } from "../recipe/wording.js";
import { runSlice, type SliceFacts } from "./attempt.js";
import { assembleEvaluationCrew, type EvaluationCrew } from "./crew.js";
import { type ExportRequest, openExport } from "./exports/export-graphs.js";
import { EvaluationJournal } from "./journal.js";
import type { Prepared } from "./kinds/context.js";
import { prepareTask } from "./kinds/prepare.js";
import { TaskOutputs } from "./outputs.js";
import { EvaluationPlacement } from "./placement.js";
import { type GraphTarget, prepareContext, RowCache } from "./prepare-context.js";
import { buildRequest } from "./request.js";
import { resultOf } from "./results/result.js";
import { writeResults } from "./results/write.js";
import { cutSlices, type Slice } from "./slices.js";
import { Subject, type SubjectRequest } from "./subject.js";
import { readTasks } from "./tasks/read.js";
import type { AnyTask } from "./tasks/settings.js";
import type { EvaluationResult, ModelResult, TaskResult } from "./types.js";

/** What `amalgam eval` is asked for. */
export interface EvaluationJob {
  readonly taskFile: string;
  /** Their names differ. */
  readonly models: readonly SubjectRequest[];
  /** Only these tasks. @default all */
  readonly tasks?: readonly string[] | undefined;
  /** An ONNX export to run instead of a graph of our own, and the checkpoint that it was exported from. */
  readonly graph?: ExportRequest | undefined;
  /** At most so many examples of each task, whatever the task file says. */
  readonly limit?: number | undefined;
  /** A folder for results.json, records.jsonl and report.html; also where an interrupted evaluation goes on. */
  readonly output?: string | undefined;
  readonly agents: AgentsWanted;
  /** Execution providers of agents that are started for it, comma-separated. @default "cpu" */
  readonly provider?: string | undefined;
  /**
   * That a model runs on, on every agent alike: the last bits of a score depend on them. Default: the cores here, or of the
   * smallest of the agents that run elsewhere.
   */
  readonly threads?: number | undefined;
  /** Further words for agents that are started for it. */
  readonly agentWords?: readonly string[] | undefined;
  readonly security?: Security | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: EvaluationEvent) => void;
}

export type EvaluationEvent =
  /** A model's headers are read and its tasks cut into batches. */
  | { readonly type: "prepared"; readonly model: string; readonly family: string; readonly tasks: number }
  /** What was found out about the export that is run. */
  | { readonly type: "exported"; readonly notes: readonly string[] }
  /** What is odd and can be lived with. */
  | { readonly type: "note"; readonly message: string }
  | { readonly type: "unfit"; readonly agent: string; readonly reason: string }
  /** `done`: batches that an earlier run has left. */
  | { readonly type: "started"; readonly agents: readonly string[]; readonly batches: number; readonly done: number }
  | { readonly type: "batch"; readonly model: string; readonly task: string; readonly examples: number }
  | { readonly type: "dispatch"; readonly event: DispatchEvent<Slice, JobAgent> }
  /** An agent could not use the execution provider that it would have liked best. */
  | { readonly type: "fallback"; readonly agent: string; readonly provider: string; readonly reason: string }
  | { readonly type: "scored"; readonly model: string; readonly result: TaskResult };

/** One model's part. */
interface Part {
  readonly subject: Subject;
  readonly tasks: readonly Prepared[];
  readonly outputs: readonly TaskOutputs[];
  readonly results: (TaskResult | undefined)[];
  readonly facts: SliceFacts[];
}

interface Preparation {
  readonly subjects: readonly Subject[];
  readonly tasks: readonly AnyTask[];
  readonly journal: EvaluationJournal | undefined;
  readonly target: GraphTarget;
  readonly threads: number;
}

/**
 * Task file → tasks → batches → slices → agents → answers → records → metrics. All that can be wrong with task file, data,
 * configs and headers is found before a byte of weights moves. Interrupted, the same call with an output folder goes on
 * where it was.
 */
export async function evaluate(job: EvaluationJob): Promise<EvaluationResult> {
  const { signal, output, onEvent } = job;
  const tasks = await chosenTasks(job);
  noteExperts(job, tasks);
  const exported = job.graph === undefined ? undefined : await openExport(job.graph);
  if (exported !== undefined) onEvent?.({ type: "exported", notes: exported.notes });
  const subjects = await Promise.all(job.models.map((model) => Subject.open(model, { signal, exported })));
  if (output !== undefined) await makeFolder(output);
  await using journal = output === undefined ? undefined : await EvaluationJournal.open(output);
  // Agents that run elsewhere are asked first what they run on, since that decides between graphs.
  await using running = job.agents.kind === "local" ? undefined : await assembleCrew(job, subjects);
  const target =
    running === undefined ? targetOf([(job.provider ?? "cpu").split(",")]) : targetOf(providersOf(running));
  const threads = job.threads ?? smallest(running) ?? availableParallelism();
  const parts = await prepareParts(job, { subjects, tasks, journal, target, threads });
  await scoreComplete(job, parts);
  if (parts.some(({ outputs }) => outputs.some(({ isComplete }) => !isComplete))) {
    await using started = running === undefined ? await assembleCrew(job, subjects) : undefined;
    const crew = running ?? started;
    if (crew !== undefined) await runOn(crew.agents, { ...job, threads }, parts);
  }
  await journal?.settled();
  const result = { version: packageVersion(), taskFile: job.taskFile, models: parts.map(modelResult) };
  if (output !== undefined) await writeResults(output, result);
  await journal?.remove();
  return result;
}

/** An expert that is not evaluated is nothing odd, unless its name is nearly that of one that is. */
function noteExperts({ models, onEvent }: EvaluationJob, tasks: readonly AnyTask[]): void {
  const names = models.map(({ name }) => name);
  for (const { name, expert, file, at } of tasks) {
    const near = expert === undefined || names.includes(expert) ? undefined : suggest(expert, names);
    if (expert === undefined || near === undefined) continue;
    const place = `${file}:${at.line}:${at.column}`;
    const message = `${place}  Task ${quote(name)} has the expert ${quote(expert)}; did you mean ${quote(near)}?`;
    onEvent?.({ type: "note", message });
  }
}

async function prepareParts(
  { signal, onEvent }: EvaluationJob,
  { subjects, tasks, journal, target, threads }: Preparation,
): Promise<readonly Part[]> {
  const rows = new RowCache();
  const parts: Part[] = [];
  for (const subject of subjects) {
    signal?.throwIfAborted();
    const prepared: Prepared[] = [];
    const context = prepareContext(subject, rows, target, signal);
    for (const task of tasks) prepared.push(await prepareTask(task, context));
    const outputs = prepared.map((one) => new TaskOutputs(`${subject.digest}/${threads}`, one, journal));
    parts.push({ subject, tasks: prepared, outputs, results: prepared.map(() => undefined), facts: [] });
    const family = prepared[0]?.graphs.family ?? "";
    onEvent?.({ type: "prepared", model: subject.request.name, family, tasks: tasks.length });
  }
  return parts;
}

/** Graphs for the CPU are faster there; as soon as one agent may use something else, all get those that run anywhere. */
function targetOf(providers: readonly (readonly string[])[]): GraphTarget {
  return providers.length > 0 && providers.every((names) => names.every((name) => name.trim() === "cpu"))
    ? "cpu"
    : "any";
}

/** Threads that all agents have cores for, as far as they are there already. */
function smallest(crew: EvaluationCrew | undefined): number | undefined {
  const threads = crew?.agents.list.flatMap(({ description }) => description?.evalThreads || []) ?? [];
  return threads.length === 0 ? undefined : Math.min(...threads);
}

function providersOf({ agents }: EvaluationCrew): readonly (readonly string[])[] {
  return agents.list.map(({ description }) => description?.providers ?? []);
}

function assembleCrew(job: EvaluationJob, subjects: readonly Subject[]): Promise<EvaluationCrew> {
  const { security, signal, provider, agentWords = [], onEvent } = job;
  return assembleEvaluationCrew(job.agents, {
    ...{ security, signal, sources: subjects.flatMap(({ sources }) => sources) },
    roots: [...new Set(subjects.flatMap(({ roots }) => roots))],
    words: [...(provider === undefined ? [] : ["--provider", provider]), ...agentWords],
    onUnfit: (agent, reason) => onEvent?.({ type: "unfit", agent, reason }),
  });
}

async function chosenTasks({ taskFile, tasks: names, limit }: EvaluationJob): Promise<readonly AnyTask[]> {
  const all = await readTasks(taskFile);
  const known = all.map(({ name }) => name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const hint = didYouMean(unknown, known) || `; it has ${quoteList(known)}`;
    throw new AmalgamError("usage", `${quote(taskFile)} has no task ${quote(unknown)}${hint}`);
  }
  return all
    .filter(({ name }) => names === undefined || names.includes(name))
    .map((task) => (limit === undefined ? task : { ...task, limit: Math.min(limit, task.limit ?? limit) }));
}

async function runOn(
  agents: JobAgents,
  job: EvaluationJob & { readonly threads: number },
  parts: readonly Part[],
): Promise<void> {
  const { signal, threads, onEvent } = job;
  const models = parts.map(({ subject, tasks }) => ({ parameters: subject.parameters, tasks }));
  const isDone = (model: number, task: number, batch: number): boolean =>
    parts[model]?.outputs[task]?.has(batch) === true;
  const slices = cutSlices(models, { agents: Math.max(1, agents.list.length), isDone });
  const batches = slices.reduce((total, slice) => total + slice.batches.length, 0);
  const all = parts.reduce((total, { tasks }) => total + tasks.reduce((sum, task) => sum + task.batches.length, 0), 0);
  onEvent?.({ type: "started", agents: agents.list.map(({ name }) => name), batches: all, done: all - batches });
  const name = randomUUID();
  const placement = new EvaluationPlacement(parts.map(({ subject }) => subject));
  const results = dispatch(slices, {
    agents,
    signal,
    placement,
    order: "given",
    retry: job.agents.kind === "cluster" ? { losses: 10 } : {},
    waitForAgentsMs: job.agents.kind === "cluster" ? job.agents.maxWaitMs : 0,
    tensorsOf: ({ model, task }) => [
      `${parts[model]?.tasks[task]?.task.name} on ${parts[model]?.subject.request.name}`,
    ],
    onEvent: (event) => onEvent?.({ type: "dispatch", event }),
    run: async ({ unit: slice, agent, epoch, signal: ended, onProgress }) => {
      const { subject, tasks, outputs } = partOf(parts, slice);
      const [prepared, answers] = [tasks[slice.task], outputs[slice.task]];
      if (prepared === undefined || answers === undefined) throw new RangeError(`No task ${slice.task}`);
      placement.loads(agent, slice);
      const has = (batch: number): boolean => answers.has(batch);
      const request = await buildRequest({ slice, epoch, job: name, subject, prepared, threads, isDone: has });
      const facts =
        request.expected.size === 0
          ? undefined
          : await runSlice(agent, request, {
              signal: ended,
              onProgress,
              onOutput: (batch, output, seconds) => {
                const examples = prepared.batches[batch]?.examples ?? 0;
                const isNew = !has(batch);
                answers.add(batch, output, seconds);
                if (isNew)
                  onEvent?.({ type: "batch", model: subject.request.name, task: prepared.task.name, examples });
              },
            }).catch((reason: unknown) => {
              throw placement.judge(AmalgamError.from(reason), slice, agent, agents.list);
            });
      return { slice, facts };
    },
  });
  for await (const { slice, facts } of results) {
    const part = partOf(parts, slice);
    if (facts !== undefined) noteFacts(job, part, facts);
    await scoreComplete(job, [part]);
  }
}

/** Turns complete answers into results, each once: records are small, answers need not be. */
async function scoreComplete({ signal, onEvent }: EvaluationJob, parts: readonly Part[]): Promise<void> {
  for (const { subject, tasks, outputs, results } of parts) {
    for (const [i, prepared] of tasks.entries()) {
      const answers = outputs[i];
      if (results[i] !== undefined || answers?.isComplete !== true) continue;
      // A module of the author's may take for ever.
      const finishing = prepared.finish(answers.take());
      const result = resultOf(prepared, await (signal === undefined ? finishing : unlessAborted(signal, finishing)));
      results[i] = result;
      onEvent?.({ type: "scored", model: subject.request.name, result });
    }
  }
}

function noteFacts({ onEvent }: EvaluationJob, { facts }: Part, found: SliceFacts): void {
  const isNew = !facts.some(({ agent, provider }) => agent === found.agent && provider === found.provider);
  const { agent, provider, fallback: reason } = found;
  if (isNew && reason !== "") onEvent?.({ type: "fallback", agent, provider, reason });
  facts.push(found);
}

function modelResult({ subject, tasks, outputs, results, facts }: Part): ModelResult {
  const { name, path, role } = subject.request;
  const distinct = new Map(facts.map((one) => [`${one.agent} ${one.provider}`, one]));
  return {
    ...{ name, role, checkpoint: path, family: tasks[0]?.graphs.family ?? "" },
    tasks: results.filter((result) => result !== undefined),
    providers: [...distinct.values()].map(({ agent, provider, fallback }) => ({ agent, provider, fallback })),
    seconds: outputs.reduce((total, { seconds }) => total + seconds, 0),
  };
}

function partOf(parts: readonly Part[], { model }: Slice): Part {
  const part = parts[model];
  if (part === undefined) throw new RangeError(`No model ${model}`);
  return part;
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
