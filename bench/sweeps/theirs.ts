import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { offline } from "../evaluators.js";
import type { TrialModels } from "./cases.js";

/** One trial of merge_and_evaluate.py. */
export interface TheirTrial {
  readonly merge: number;
  readonly load: number;
  readonly run: number;
  /** By task. */
  readonly accuracy: Readonly<Record<string, number>>;
}

export interface TheirRun {
  /** Per trial. */
  readonly secondsEach: number;
  readonly trials: readonly TheirTrial[];
  readonly peakBytes: number;
  readonly versions: string;
  /** The fastest for it. */
  readonly batchSize: number;
  /** Per trial, when each merge and each evaluation is a command. */
  readonly secondsByCommands: number;
}

/** Trials that are run by commands; each takes the same. */
const trialsByCommands = 1;

/** The models under names that mergekit finds a ViT's layers by. */
const copies = "renamed";

// Python sources are not compiled, so they stay where they are.
const script = fileURLToPath(new URL("../../../bench/sweeps/merge_and_evaluate.py", import.meta.url));

export interface TheirJob {
  readonly python: string;
  readonly threads: number;
  /** For its files. */
  readonly folder: string;
  readonly models: TrialModels;
  /** That name models in `models.folder`. */
  readonly recipes: readonly string[];
}

/** Merges, loads and evaluates recipe after recipe, in one process that has imported and read all that it needs. */
export async function runTheirs({ python, threads, folder, models, recipes }: TheirJob): Promise<TheirRun> {
  const renamed = join(folder, copies);
  const child = spawn(python, [script], { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...offline } });
  let lastWords = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    lastWords = `${lastWords}${text}`.slice(-4_000);
  });
  const exited = once(child, "exit");
  const job = {
    threads,
    models: ["base", ...models.experts].map((name) => [join(models.folder, name), join(renamed, name)]),
    tasks: models.tasks,
    recipes: recipes.map((text) => text.replaceAll(models.folder, renamed)),
    output: join(folder, "merged"),
  };
  child.stdin.end(JSON.stringify(job));
  const trials: TheirTrial[] = [];
  let summary: Omit<TheirRun, "trials" | "secondsByCommands"> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as TheirTrial | NonNullable<typeof summary>;
    if ("versions" in said) summary = said;
    else trials.push(said);
  }
  await exited;
  if (summary === undefined) throw new Error(`merge_and_evaluate.py ended: ${lastWords}`);
  const secondsByCommands = runCommands(python, job, summary.batchSize);
  return { ...summary, trials, secondsByCommands };
}

/** The same trials as people run them: `mergekit-yaml`, then a script that loads and evaluates. */
function runCommands(
  python: string,
  {
    threads,
    tasks,
    recipes,
    output,
  }: { readonly recipes: readonly string[]; readonly output: string } & Pick<TheirJob, "threads"> &
    Pick<TrialModels, "tasks">,
  batchSize: number,
): number {
  const env = { ...process.env, ...offline, OMP_NUM_THREADS: String(threads) };
  const file = `${output}.yaml`;
  const started = performance.now();
  for (const recipe of recipes.slice(0, trialsByCommands)) {
    writeFileSync(file, recipe);
    run(python, ["-m", "mergekit.scripts.run_yaml", file, output, "--no-copy-tokenizer", "--quiet"], "", env);
    run(python, [script], JSON.stringify({ threads, tasks, checkpoint: output, batchSize }), env);
    rmSync(output, { recursive: true });
  }
  return (performance.now() - started) / 1000 / Math.min(trialsByCommands, recipes.length);
}

function run(command: string, words: readonly string[], input: string, env: NodeJS.ProcessEnv): void {
  const { status, stderr } = spawnSync(command, words, { input, env, encoding: "utf8" });
  if (status !== 0) throw new Error(`${words.join(" ")} ended with ${status}: ${stderr.slice(-2_000)}`);
}
