import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type BenchContext, type Benchmark, medianOf, medianRatio } from "../harness.js";
import { canImport } from "../python.js";
import { digits, mebibytes, ratio, type Table, target } from "../table.js";
import { digitsModels, type TrialMethod, type TrialModels, trialMethods, vitModels, writeSweep } from "./cases.js";
import { runOurs, type SweepRun } from "./ours.js";
import { type SplitCase, splitTable } from "./split.js";
import { runTheirs, type TheirRun } from "./theirs.js";

/** How many times the trials of a loop of mergekit and transformers. */
const leastFaster = 10;

interface Contest {
  readonly models: TrialModels;
  readonly method: TrialMethod;
  readonly ours: readonly SweepRun[];
  /** Empty where there is no mergekit. */
  readonly theirs: readonly TheirRun[];
}

/** The same trials by a sweep on one agent, and by a loop that merges to disk, loads and evaluates; on the same cores. */
export const sweep: Benchmark = {
  name: "sweep",
  async run(context) {
    const missing = await canImport(context.python, "mergekit, transformers, torch");
    if (missing !== undefined) context.say(`Compared with nothing: ${missing}`);
    const threads = availableParallelism();
    const contests: Contest[] = [];
    for (const models of [digitsModels(), vitModels(context.folder)]) {
      for (const method of trialMethods) {
        context.say(`${models.name}: ${method.name}`);
        contests.push(await contest(models, method, { context, threads, isCompared: missing === undefined }));
      }
    }
    const cases: readonly SplitCase[] = contests.map(({ models, method, ours }) => {
      return { models: models.name, method: method.name, trials: ours[0]?.trials ?? [] };
    });
    return [rateTable(contests, threads), splitTable(cases), memoryTable(contests)];
  },
};

interface ContestOptions {
  readonly context: BenchContext;
  readonly threads: number;
  readonly isCompared: boolean;
}

/** Round by round, a new agent and a new process each time. */
async function contest(
  models: TrialModels,
  method: TrialMethod,
  { context: { folder, python, runs, say }, threads, isCompared }: ContestOptions,
): Promise<Contest> {
  const own = join(folder, "sweeps", models.key);
  const file = writeSweep(own, models, method);
  const ours: SweepRun[] = [];
  const theirs: TheirRun[] = [];
  for (let round = 0; round < runs; round += 1) {
    const run = await runOurs(file, own, models, threads);
    ours.push(run);
    say(`${digits(perHour(run))} trials per hour`);
    if (!isCompared) continue;
    const trials = run.trials.toSorted((a, b) => a.trial - b.trial);
    const recipes = trials.map(({ point }) => run.spec.template.renderFor(point, own));
    const loop = await runTheirs({ python, threads, folder: own, models, recipes });
    theirs.push(loop);
    say(`${digits(perHour(loop))} by the loop`);
    const difference = largestDifference(run, loop);
    if (!(difference <= models.tolerance)) throw new Error(`${models.name}: accuracies differ by ${difference}`);
  }
  return { models, method, ours, theirs };
}

function perHour({ secondsEach }: Pick<SweepRun, "secondsEach">): number {
  return 3600 / secondsEach;
}

function largestDifference(ours: SweepRun, theirs: TheirRun): number {
  const differences = ours.trials.flatMap(({ trial, metrics }) => {
    const accuracy = theirs.trials[trial - 1]?.accuracy ?? {};
    return Object.entries(metrics).map(([task, { acc }]) =>
      Math.abs((acc ?? Number.NaN) - (accuracy[task] ?? Number.NaN)),
    );
  });
  return Math.max(...differences);
}

function rateTable(contests: readonly Contest[], threads: number): Table {
  const versions = contests.flatMap(({ theirs }) => theirs.map((run) => run.versions));
  return {
    title: "Trials per hour",
    note:
      `Random points, ${threads} threads, merged in f32 to bf16, evaluated in f32 on the CPU; made weights where it is not digits. Amalgam: \`amalgam sweep\` ` +
      `with one agent, from its first trial on record to its last. ${[...new Set(versions)].join("; ") || "No other program"}: a warm process that ` +
      "merges to disk, loads and evaluates the same recipes, with the batch size that is fastest for it; imports and a first trial are not counted. " +
      "Commands: `mergekit-yaml` and then a script that loads and evaluates, for each trial.",
    columns: [
      ...["models", "searched", "trials", "commands", "faster", "target"],
      ...["warm loop", "of it merge", "load", "run", "amalgam", "faster than the loop"],
    ],
    rows: contests.map(({ models, method, ours, theirs }) => {
      const faster = medianRatio(theirs, ours, secondsOf, secondsOf);
      const fasterThanCommands = medianRatio(theirs, ours, ({ secondsByCommands }) => secondsByCommands, secondsOf);
      const trials = theirs.flatMap((run) => run.trials);
      return [
        models.name,
        method.name,
        String(models.trials),
        `${digits(medianOf(theirs, ({ secondsByCommands }) => 3600 / secondsByCommands))} /h`,
        ratio(fasterThanCommands),
        theirs.length === 0 ? "" : target(fasterThanCommands, leastFaster, "×", "at least"),
        `${digits(medianOf(theirs, perHour))} /h`,
        `${digits(medianOf(trials, ({ merge }) => merge))} s`,
        `${digits(medianOf(trials, ({ load }) => load))} s`,
        `${digits(medianOf(trials, ({ run }) => run))} s`,
        `${digits(medianOf(ours, perHour))} /h`,
        ratio(faster),
      ];
    }),
  };
}

function secondsOf({ secondsEach }: Pick<SweepRun, "secondsEach">): number {
  return secondsEach;
}

function memoryTable(contests: readonly Contest[]): Table {
  return {
    title: "Memory of an agent that runs trials",
    note: "Peaks, looked at every 20 ms. Budget: its `--trial-memory`, for inputs, merged weights and what they are run on. On top of it come the agent's own processes: Node.js, workers, ONNX Runtime and its activations.",
    columns: ["models", "searched", "budget", "files in memory", "of the budget", "processes", "together", "loop"],
    rows: contests.map(({ models, method, ours, theirs }) => {
      const files = medianOf(ours, ({ peak }) => peak.fileBytes);
      return [
        models.name,
        method.name,
        mebibytes(models.trialMemoryBytes),
        mebibytes(files),
        target((100 * files) / models.trialMemoryBytes, 100, "%"),
        mebibytes(medianOf(ours, ({ peak }) => peak.processBytes)),
        mebibytes(medianOf(ours, ({ peak }) => peak.bytes)),
        theirs.length === 0 ? "–" : mebibytes(medianOf(theirs, ({ peakBytes }) => peakBytes)),
      ];
    }),
  };
}
