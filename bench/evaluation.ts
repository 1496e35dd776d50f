import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Workload, workloads, writeInputs } from "./evaluated-batches.js";
import { writeEvaluated } from "./evaluated-models.js";
import { type BatchRun, startAgentEvaluator, startReference } from "./evaluators.js";
import { timeToFirstScore } from "./first-score.js";
import { alternate, type BenchContext, type Benchmark, medianOf, medianRatio } from "./harness.js";
import { canImport } from "./python.js";
import { digits, mebibytes, ratio, type Table } from "./table.js";

/** The same batches of the same checkpoints by an agent and by transformers, on the same cores, in f32. */
export const evaluation: Benchmark = {
  name: "evaluation",
  async run(context) {
    const missing = await canImport(context.python, "transformers, torch");
    if (missing !== undefined) return [{ title, note: `Skipped: ${missing}.`, columns: [], rows: [] }];
    const threads = availableParallelism();
    const rows: string[][] = [];
    const versions = new Set<string>();
    for (const make of workloads) {
      const workload = make();
      context.say(workload.name);
      const contest = await runContest(workload, context, threads);
      versions.add(contest.versions);
      rows.push(rowOf(workload, contest));
    }
    context.say("time to first score");
    return [tableOf(rows, threads, [...versions]), await timeToFirstScore(context, threads)];
  },
};

const title = "Evaluation against PyTorch";

interface Contest {
  readonly amalgam: readonly BatchRun[];
  readonly eager: readonly BatchRun[];
  readonly sdpa: readonly BatchRun[];
  readonly versions: string;
}

/** Largest difference of log-probabilities, logits or elements of a vector; tokens have to be the same. */
const tolerance = 1e-4;

async function runContest(workload: Workload, context: BenchContext, threads: number): Promise<Contest> {
  const { folder, python } = context;
  const checkpoint = writeEvaluated(join(folder, String(workload.model.config["model_type"])), workload.model);
  const inputs = writeInputs(join(folder, `${workload.work}.safetensors`), workload.batch);
  await using agent = await startAgentEvaluator(workload, checkpoint, threads);
  const reference = { python, threads, checkpoint, inputs };
  await using eager = await startReference(workload, { ...reference, attention: "eager" });
  await using sdpa = await startReference(workload, { ...reference, attention: "sdpa" });
  const runs = await alternate(context, {
    amalgam: () => agent.run(),
    eager: () => eager.run(),
    sdpa: () => sdpa.run(),
  });
  const difference = largestDifference(runs.amalgam, runs.sdpa);
  if (!(difference <= tolerance)) throw new Error(`${workload.name}: the numbers differ by ${difference}`);
  return { ...runs, versions: sdpa.versions };
}

function largestDifference(ours: readonly BatchRun[], theirs: readonly BatchRun[]): number {
  const [a, b] = [Array.from(ours[0]?.numbers ?? []), Array.from(theirs[0]?.numbers ?? [])];
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((largest, x, i) => Math.max(largest, Math.abs(x - (b[i] ?? Number.NaN))), 0);
}

function rowOf({ name, unit, count }: Workload, { amalgam, eager, sdpa }: Contest): string[] {
  const secondsOf = (run: BatchRun): number => run.seconds;
  const peakOf = (run: BatchRun): number => run.peakBytes;
  const rate = (runs: readonly BatchRun[]): string => `${digits(count / medianOf(runs, secondsOf))} ${unit}/s`;
  return [
    name,
    rate(amalgam),
    rate(eager),
    rate(sdpa),
    ratio(medianRatio(eager, amalgam, secondsOf, secondsOf)),
    ratio(medianRatio(sdpa, amalgam, secondsOf, secondsOf)),
    mebibytes(medianOf(amalgam, peakOf)),
    mebibytes(medianOf(sdpa, peakOf)),
    ratio(medianRatio(sdpa, amalgam, peakOf, peakOf)),
  ];
}

function tableOf(rows: readonly string[][], threads: number, versions: readonly string[]): Table {
  return {
    title,
    note:
      `One batch again and again, made weights in bf16, computed in f32 with ${threads} threads on the CPU. Amalgam: ` +
      `one agent, from the request over gRPC to the last answer. ${versions.join("; ")}: the call alone, in a process ` +
      "that has the batch. The numbers that come out agree within 1e-4, and tokens exactly. Peak memory is that of the " +
      "process that runs the model.",
    columns: [
      "",
      "amalgam",
      "eager",
      "sdpa",
      "faster than eager",
      "faster than sdpa",
      "peak amalgam",
      "peak sdpa",
      "smaller by",
    ],
    rows,
  };
}
