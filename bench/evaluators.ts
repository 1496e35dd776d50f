import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connectAgents } from "../coordinator/dispatch/agents.js";
import { startLocalAgents } from "../coordinator/dispatch/local-agents.js";
import { runSlice } from "../coordinator/evaluate/attempt.js";
import { buildRequest } from "../coordinator/evaluate/request.js";
import { Subject } from "../coordinator/evaluate/subject.js";
import type { BatchOutput, PreparedTask } from "../coordinator/evaluate/types.js";
import type { Workload } from "./evaluated-batches.js";
import { childrenPeakBytes } from "./processes.js";

/** One run of a workload's batch. */
export interface BatchRun {
  readonly seconds: number;
  /** Largest resident memory so far of the process that runs the model. */
  readonly peakBytes: number;
  /** What came out: log-probabilities, vectors or tokens, one after the other. */
  readonly numbers: ArrayLike<number>;
}

/** Something that has loaded a model and runs a workload's batch again and again. */
export interface Evaluator extends AsyncDisposable {
  run(): Promise<BatchRun>;
}

/**
 * An agent in a process of its own, asked over gRPC. Its time is the caller's: from the request to the last answer, less
 * that of loading the model, which an agent does again when it has not been asked for a minute.
 */
export async function startAgentEvaluator(workload: Workload, checkpoint: string, threads: number): Promise<Evaluator> {
  const { needs, measure, batch, examples } = workload;
  const subject = await Subject.open({ name: workload.name, path: checkpoint, role: "model" });
  const graphs = subject.graphsFor({ ...needs, provider: "cpu" });
  const prepared: Pick<PreparedTask, "graphs" | "batches" | "load"> = {
    graphs,
    batches: [{ measure, examples, cost: 1, bytes: 0 }],
    load: async () => batch,
  };
  const local = await startLocalAgents({
    ...{ count: 1, mode: "process", slotsEach: 1, memoryBytesEach: 64 << 20 },
    entry: new URL("../node-agent/main.js", import.meta.url),
    roots: subject.roots,
    words: ["--eval-threads", String(threads)],
  });
  const agents = await connectAgents(local.addresses);
  const [agent] = agents.list;
  const [pid] = local.pids;
  if (agent === undefined || pid === undefined) throw new Error("There is no agent");
  let unit = 0;
  return {
    async run() {
      const slice = { id: unit++, model: 0, task: 0, measure, batches: [0], bytesRead: 0, bytesWritten: 0 };
      const started = performance.now();
      const request = await buildRequest({
        ...{ slice, epoch: 1, job: "bench", subject, threads: 0, isDone: () => false },
        prepared: prepared as PreparedTask,
      });
      let output: BatchOutput | undefined;
      const { loadSeconds } = await runSlice(agent, request, {
        onOutput: (_, answer) => {
          output = answer;
        },
      });
      const seconds = (performance.now() - started) / 1000 - loadSeconds;
      // Models run in a child of the agent.
      return { seconds, peakBytes: childrenPeakBytes(pid), numbers: numbersOf(output) };
    },
    async [Symbol.asyncDispose]() {
      await agents[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}

function numbersOf(output: BatchOutput | undefined): ArrayLike<number> {
  switch (output?.kind) {
    case "vectors":
      return output.values;
    case "likelihood":
      return output.logprobs;
    case "generation":
      return output.tokens.flatMap((tokens) => [...tokens]);
    case undefined:
      throw new Error("There is no answer");
  }
}

// Python sources are not compiled, so they stay where they are.
export const referenceScript = fileURLToPath(new URL("../../bench/evaluate_reference.py", import.meta.url));

/** Nothing is to be fetched, nor asked for. */
export const offline = { HF_HUB_OFFLINE: "1", TRANSFORMERS_OFFLINE: "1" };

export interface ReferenceOptions {
  readonly python: string;
  readonly attention: "eager" | "sdpa";
  readonly threads: number;
  readonly checkpoint: string;
  /** From `writeInputs`. */
  readonly inputs: string;
}

/** evaluate_reference.py, which says itself how long it took. `versions`: of its libraries. */
export async function startReference(
  { work }: Workload,
  { python, attention, threads, checkpoint, inputs }: ReferenceOptions,
): Promise<Evaluator & { readonly versions: string }> {
  const argv = [referenceScript, "serve", work, attention, String(threads), checkpoint, inputs];
  const child = spawn(python, argv, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...offline } });
  let lastWords = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    lastWords = `${lastWords}${text}`.slice(-4_000);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`evaluate_reference.py ended: ${lastWords}`);
    return JSON.parse(value);
  };
  const { versions } = (await next()) as { versions: string };
  return {
    versions,
    run: async () => {
      child.stdin.write("\n");
      return (await next()) as BatchRun;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}
