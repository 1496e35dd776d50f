import { rmSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "../shared/bytes.js";
import { makeModels } from "./checkpoints.js";
import { alternate, type Benchmark, medianOf, medianRatio } from "./harness.js";
import { type ProcessRun, runAmalgam } from "./processes.js";
import { canImport, runMinimalMerge } from "./python.js";
import { writeRecipe } from "./recipes.js";
import { ratio, seconds } from "./table.js";

/** The scripts select each threshold on one core, which takes a while. */
const largestModel = 200e6;

/** Against minimal_merge.py: what is left of a merge when one leaves out all that a tool does besides. */
export const againstScripts: Benchmark = {
  name: "against-scripts",
  async run(context) {
    const modelBytes = Math.min(context.modelBytes, largestModel);
    const models = makeModels(context.folder, modelBytes);
    const rows: string[][] = [];
    const skipped: string[] = [];
    for (const library of ["numpy", "torch"] as const) {
      const missing = await canImport(context.python, library);
      if (missing !== undefined) {
        skipped.push(`${library} skipped: ${missing}`);
        continue;
      }
      for (const method of ["linear", "ties"] as const) {
        context.say(`${library} ${method}`);
        const recipe = writeRecipe(context.folder, method, models);
        const inputs = recipe.models.map(({ file }) => file);
        const output = join(context.folder, "against-scripts");
        const runs = await alternate<{ script: ProcessRun; amalgam: ProcessRun }>(context, {
          script: async () => {
            const run = await runMinimalMerge(context.python, library, method, output, inputs);
            rmSync(output);
            return run;
          },
          amalgam: async () => {
            const run = await runAmalgam(["merge", recipe.file, output, "--json"]);
            rmSync(output, { recursive: true });
            return run;
          },
        });
        rows.push([
          `${library} ${method}`,
          seconds(medianOf(runs.script, secondsOf)),
          seconds(medianOf(runs.amalgam, secondsOf)),
          ratio(medianRatio(runs.script, runs.amalgam, secondsOf, secondsOf)),
        ]);
      }
    }
    const what = `bench/minimal_merge.py on the same files (${formatBytes(models[0]?.bytes ?? 0)} per model), whole processes. It neither syncs nor checks nor hashes what it writes.`;
    return [
      {
        title: "Against a script",
        note: [what, ...skipped].join(" "),
        columns: ["script", "script takes", "amalgam takes", "amalgam is faster by"],
        rows,
      },
    ];
  },
};

function secondsOf(run: ProcessRun): number {
  return run.seconds;
}
