import { rmSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "../shared/bytes.js";
import { makeModels } from "./checkpoints.js";
import { alternate, type BenchContext, type Benchmark, medianOf, medianRatio } from "./harness.js";
import { type ProcessRun, runAmalgam } from "./processes.js";
import { canImport, runMergekit, startMergekit } from "./python.js";
import { type BenchMethod, writeRecipe } from "./recipes.js";
import { mebibytes, ratio, seconds, type Table, target } from "./table.js";

/** How many times faster Amalgam has to be. */
const limits = { linear: 4, slerp: 4, model_stock: 4, ties: 10, dare_ties: 10, della: 10, breadcrumbs: 10 } as const;

/** mergekit takes minutes for DELLA on this much. */
const largestModel = 1e9;

/** The same recipes and files, each program as a whole process with its defaults. */
export const againstMergekit: Benchmark = {
  name: "against-mergekit",
  async run(context) {
    const title = "Against mergekit";
    const missing = await canImport(context.python, "mergekit");
    if (missing !== undefined) return [{ title, note: `Skipped: ${missing}.`, columns: [], rows: [] }];
    const modelBytes = Math.min(context.modelBytes, largestModel);
    const models = makeModels(context.folder, modelBytes);
    const startUp = medianOf(
      (await alternate(context, { start: () => startMergekit(context.python) })).start,
      secondsOf,
    );
    const rows: string[][] = [];
    for (const [name, limit] of Object.entries(limits)) {
      context.say(name);
      const recipe = writeRecipe(context.folder, name as BenchMethod, models);
      const runs = await contest(context, recipe.file);
      const faster = medianRatio(runs.mergekit, runs.amalgam, secondsOf, secondsOf);
      context.say(`${name}: ${ratio(faster)}`);
      rows.push([
        name,
        seconds(medianOf(runs.mergekit, secondsOf)),
        seconds(medianOf(runs.amalgam, secondsOf)),
        ratio(faster),
        target(faster, limit, "×", "at least"),
        ratio(medianRatio(runs.mergekit, runs.amalgam, (run) => run.seconds - startUp, secondsOf)),
        mebibytes(medianOf(runs.mergekit, (run) => run.peakBytes)),
        mebibytes(medianOf(runs.amalgam, (run) => run.peakBytes)),
      ]);
    }
    return [
      {
        title,
        note:
          `The same recipes and files (${formatBytes(models[0]?.bytes ?? 0)} per model), whole processes, defaults of both, on the CPU. ` +
          `"Less start-up" takes the ${seconds(startUp)} off mergekit that its imports alone take, and nothing off Amalgam.`,
        columns: [
          "method",
          "mergekit",
          "amalgam",
          "faster",
          "target",
          "less start-up",
          "peak mergekit",
          "peak amalgam",
        ],
        rows,
      } satisfies Table,
    ];
  },
};

function secondsOf(run: ProcessRun): number {
  return run.seconds;
}

/** Amalgam goes first, so that what its reading leaves in the page cache is mergekit's. No round is thrown away: they are long. */
async function contest({ folder, python, runs }: BenchContext, recipe: string) {
  const output = join(folder, "against-mergekit");
  const emptied = async (run: Promise<ProcessRun>): Promise<ProcessRun> => {
    const measured = await run;
    rmSync(output, { recursive: true });
    return measured;
  };
  const samples = { mergekit: [] as ProcessRun[], amalgam: [] as ProcessRun[] };
  for (let round = 0; round < runs; round += 1) {
    samples.amalgam.push(await emptied(runAmalgam(["merge", recipe, output, "--json"])));
    samples.mergekit.push(await emptied(runMergekit(python, recipe, output)));
  }
  return samples;
}
