import { randomUUID } from "node:crypto";
import { AmalgamError } from "../../shared/errors.js";
import { dispatch } from "../dispatch/dispatcher.js";
import type { JobAgents } from "../job/job-agents.js";
import { runSlice, type SliceFacts } from "./attempt.js";
import type { EvaluationJob } from "./job.js";
import type { Prepared } from "./kinds/context.js";
import type { TaskOutputs } from "./outputs.js";
import type { Part } from "./part.js";
import { EvaluationPlacement } from "./placement.js";
import { buildRequest } from "./request.js";
import { cutSlices, type Slice } from "./slices.js";

/**
 * Has agents answer what has no answer yet. Answers stay, whatever becomes of the slice that they came with: whoever runs
 * it again is asked for the others. A task is scored with its last one.
 */
export async function runSlices(
  agents: JobAgents,
  job: EvaluationJob & { readonly threads: number },
  parts: readonly Part[],
): Promise<void> {
  const { signal, threads, onEvent } = job;
  const slices = cutSlices(
    parts.map(({ subject, tasks }) => ({ parameters: subject.parameters, tasks })),
    {
      agents: Math.max(1, agents.list.length),
      isDone: (model, task, batch) => parts[model]?.outputs[task]?.has(batch) === true,
    },
  );
  tellStart(agents, slices, parts, job);
  const name = randomUUID();
  const placement = new EvaluationPlacement(parts.map(({ subject }) => subject));
  const results = dispatch(slices, {
    ...{ agents, signal, placement },
    order: "given",
    retry: job.agents.kind === "cluster" ? { losses: 10 } : {},
    waitForAgentsMs: job.agents.kind === "cluster" ? job.agents.maxWaitMs : 0,
    tensorsOf: (slice) => {
      const { part, prepared } = find(parts, slice);
      return [`${prepared.task.name} on ${part.name}`];
    },
    onEvent: (event) => onEvent?.({ type: "dispatch", event }),
    run: async ({ unit: slice, agent, epoch, signal: ended, onProgress }) => {
      const { part, prepared, answers } = find(parts, slice);
      const isDone = (batch: number): boolean => answers.has(batch);
      placement.loads(agent, slice);
      const parameters = { slice, epoch, job: name, subject: part.subject, prepared, threads, isDone };
      const request = await buildRequest(parameters);
      // Another attempt has answered all of it meanwhile.
      if (request.expected.size === 0) return { slice, facts: undefined };
      const facts = await runSlice(agent, request, {
        signal: ended,
        onProgress,
        onOutput: (batch, output, seconds) => {
          if (isDone(batch)) return;
          answers.add(batch, output, seconds);
          const examples = prepared.batches[batch]?.examples ?? 0;
          onEvent?.({ type: "batch", model: part.name, task: prepared.task.name, examples });
        },
      }).catch((reason: unknown) => {
        throw placement.judge(AmalgamError.from(reason), slice, agent, agents.list);
      });
      return { slice, facts };
    },
  });
  for await (const { slice, facts } of results) {
    const { part } = find(parts, slice);
    if (facts !== undefined) noteFacts(job, part, facts);
    await scoreComplete(job, [part]);
  }
}

/** Scores the tasks that have all their answers and no score yet. */
export async function scoreComplete({ signal, onEvent }: EvaluationJob, parts: readonly Part[]): Promise<void> {
  for (const part of parts) {
    for await (const result of part.score(signal)) onEvent?.({ type: "scored", model: part.name, result });
  }
}

function tellStart(agents: JobAgents, slices: readonly Slice[], parts: readonly Part[], job: EvaluationJob): void {
  const left = slices.reduce((total, slice) => total + slice.batches.length, 0);
  const batches = parts.flatMap(({ tasks }) => tasks).reduce((total, task) => total + task.batches.length, 0);
  job.onEvent?.({ type: "started", agents: agents.list.map(({ name }) => name), batches, done: batches - left });
}

/** That an agent could not use what it would have liked best is said once. */
function noteFacts({ onEvent }: EvaluationJob, part: Part, facts: SliceFacts): void {
  const { agent, provider, fallback: reason } = facts;
  if (part.note(facts) && reason !== "") onEvent?.({ type: "fallback", agent, provider, reason });
}

function find(
  parts: readonly Part[],
  { model, task }: Slice,
): { readonly part: Part; readonly prepared: Prepared; readonly answers: TaskOutputs } {
  const part = parts[model];
  const [prepared, answers] = [part?.tasks[task], part?.outputs[task]];
  if (part === undefined || prepared === undefined || answers === undefined) {
    throw new RangeError(`No task ${task} of model ${model}`);
  }
  return { part, prepared, answers };
}
