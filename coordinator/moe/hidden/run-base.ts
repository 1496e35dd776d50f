import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { locateFiles } from "../../dispatch/locate.js";
import { commonGround } from "../../evaluate/common-ground.js";
import { assembleEvaluationCrew } from "../../evaluate/crew.js";
import type { EvaluationEvent, EvaluationJob } from "../../evaluate/job.js";
import type { EvaluationJournal } from "../../evaluate/journal.js";
import type { Prepared } from "../../evaluate/kinds/context.js";
import { Run } from "../../evaluate/kinds/run.js";
import { textInputs } from "../../evaluate/kinds/text-inputs.js";
import type { ModelAgents } from "../../evaluate/model-agents.js";
import { Part } from "../../evaluate/part.js";
import { runSlices, scoreComplete } from "../../evaluate/run-slices.js";
import { Subject, type SubjectRequest } from "../../evaluate/subject.js";
import type { Task } from "../../evaluate/types.js";
import type { ModelGraphs } from "../../graphs/types.js";
import { type Crew, locateTimeoutMs } from "../../job/connect-crew.js";
import type { MoeConfig } from "../config.js";
import type { GateShape } from "./gates-file.js";
import { type HiddenQuestions, maxAnswerBytes } from "./questions.js";

export interface BaseRun extends ModelAgents {
  readonly config: MoeConfig;
  readonly base: SubjectRequest;
  /** Has the answers of an earlier run, and takes those of this one. */
  readonly journal: EvaluationJournal;
  /** Told at once how many prompts are done, and again after every batch. */
  readonly onPrompts: (done: number) => void;
  readonly onEvent: (event: EvaluationEvent) => void;
  /** Where the gates will be, for agents to read. */
  readonly folder: string;
}

/** Prompts, and tokens with padding, that run together. They decide the last bits. */
const maxPrompts = 16;
const maxTokens = 1_024;

/**
 * Runs the base on the prompts, as an evaluation does: on agents that read its weights in place. Gives what each layer is
 * given of each sequence, pooled: [layers, hidden], the embedding first. Fails with `usage` where no agent has the memory,
 * or none would see the gates.
 */
export async function runBase(
  questions: HiddenQuestions,
  shape: GateShape,
  run: BaseRun,
): Promise<readonly Float32Array[]> {
  const { config, base, journal, agents, signal, onPrompts, onEvent } = run;
  const job: EvaluationJob = { ...run, taskFile: config.file, models: [base] };
  const subject = await Subject.open(base, { signal });
  await using running = agents.kind === "local" ? undefined : await assembleEvaluationCrew(job, [subject]);
  if (running !== undefined) await assertSeen(run.folder, running, signal);
  const { target, threads } = commonGround(job, running);
  const pooling = { mode: questions.pooling, normalize: false };
  const graphs = subject.graphsFor({ output: "layers", pooling, provider: target });
  let states: readonly Float32Array[] = [];
  const prepared = prepare(questions, shape, { config, graphs }, (found) => {
    states = found;
  });
  const part = new Part(subject, [prepared], { journal, threads });
  let done = examplesIn(prepared, (batch) => part.outputs[0]?.has(batch) === true);
  onPrompts(done);
  const observe = (event: EvaluationEvent): void => {
    onEvent(event);
    if (event.type !== "batch") return;
    done += event.examples;
    onPrompts(done);
  };
  await scoreComplete(job, [part]);
  if (!part.isComplete) {
    await using started = running === undefined ? await assembleEvaluationCrew(job, [subject]) : undefined;
    const crew = running ?? started;
    if (crew !== undefined) await runSlices(crew.agents, { ...job, threads, onEvent: observe }, [part]);
  }
  await journal.settled();
  return states;
}

/** One that sees it serves it to the others. Known now, before a large model is run. */
async function assertSeen(folder: string, { agents }: Crew, signal: AbortSignal | undefined): Promise<void> {
  const path = join(folder, "probe");
  await writeFile(path, "");
  const { mtimeMs: modifiedMs } = await stat(path);
  const options = { timeoutMs: locateTimeoutMs, ...(signal && { signal }) };
  const sights = await Promise.allSettled(
    agents.list.map((agent) => locateFiles(agent, [{ path, bytes: 0n, modifiedMs }], options)),
  ).finally(() => rm(path, { force: true }));
  signal?.throwIfAborted();
  // Who does not answer may yet, and may see it.
  if (sights.some((sight) => sight.status === "rejected" || sight.value.has(0))) return;
  const problem = `the gates are kept in ${quote(folder)} until the output is complete, and no agent sees it`;
  throw new AmalgamError(
    "usage",
    `Cannot run the base: ${problem}; start one with a "--root" that this is below, or leave out "--agent"`,
  );
}

function examplesIn({ batches }: Prepared, counts: (batch: number) => boolean): number {
  return batches.reduce((sum, { examples }, batch) => sum + (counts(batch) ? examples : 0), 0);
}

/** The prompts as a task without a score: what it finds out are the states themselves. */
function prepare(
  { sequences }: HiddenQuestions,
  { layers, hidden }: GateShape,
  { config, graphs }: { readonly config: MoeConfig; readonly graphs: ModelGraphs },
  onStates: (states: readonly Float32Array[]) => void,
): Prepared {
  const fitting = Math.floor(maxAnswerBytes / (layers * hidden * Float32Array.BYTES_PER_ELEMENT));
  const task: Task = {
    ...{ name: "prompts", kind: "custom", settings: {}, limit: undefined, expert: undefined, metric: undefined },
    ...{ batchExamples: Math.max(1, Math.min(maxPrompts, fitting)), batchTokens: maxTokens },
    ...{ file: config.file, at: config.expertsAt },
  };
  const encoded = sequences.map((ids) => ({ ids: [...ids], types: [] }));
  const inputs = textInputs(task, encoded, { pad: 0, inputs: new Set(["input_ids", "attention_mask"]) });
  const run = new Run({ measure: { kind: "vectors", graph: "body", output: "layers" }, inputs });
  return {
    ...{ task, graphs, batches: run.plans, metrics: [], metricSettings: {}, digest: run.digest() },
    load: (batch) => run.load(batch),
    finish: async (outputs) => {
      onStates(run.vectors(outputs));
      return [];
    },
  };
}
