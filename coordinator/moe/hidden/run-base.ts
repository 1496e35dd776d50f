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
import type { MoeConfig } from "../config.js";
import type { GateShape } from "./gates-file.js";
import { type HiddenQuestions, maxAnswerBytes } from "./questions.js";

export interface BaseRun extends ModelAgents {
  readonly config: MoeConfig;
  readonly base: SubjectRequest;
  /** Has the answers of an earlier run, and takes those of this one. */
  readonly journal: EvaluationJournal;
  readonly onEvent: (event: EvaluationEvent) => void;
}

/** Prompts, and tokens with padding, that run together. They decide the last bits. */
const maxPrompts = 16;
const maxTokens = 1_024;

/**
 * Runs the base on the prompts, as an evaluation does: on agents that read its weights in place. Gives what each layer is
 * given of each sequence, pooled: [layers, hidden], the embedding first. Fails with `usage` where no agent has the memory.
 */
export async function runBase(
  questions: HiddenQuestions,
  shape: GateShape,
  run: BaseRun,
): Promise<readonly Float32Array[]> {
  const { config, base, journal, agents, signal, onEvent } = run;
  const job: EvaluationJob = { ...run, taskFile: config.file, models: [base] };
  const subject = await Subject.open(base, { signal });
  await using running = agents.kind === "local" ? undefined : await assembleEvaluationCrew(job, [subject]);
  const { target, threads } = commonGround(job, running);
  const pooling = { mode: questions.pooling, normalize: false };
  const graphs = subject.graphsFor({ output: "layers", pooling, provider: target });
  let states: readonly Float32Array[] = [];
  const prepared = prepare(questions, shape, { config, graphs }, (found) => {
    states = found;
  });
  const part = new Part(subject, [prepared], { journal, threads });
  await scoreComplete(job, [part]);
  if (!part.isComplete) {
    await using started = running === undefined ? await assembleEvaluationCrew(job, [subject]) : undefined;
    const crew = running ?? started;
    if (crew !== undefined) await runSlices(crew.agents, { ...job, threads, onEvent }, [part]);
  }
  await journal.settled();
  return states;
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
