import { rmSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "../shared/bytes.js";
import { makeModels } from "./checkpoints.js";
import { alternate, type Benchmark, medianOf } from "./harness.js";
import { type ProcessRun, runAmalgam } from "./processes.js";
import { benchMethods, writeRecipe } from "./recipes.js";
import { mebibytes, target } from "./table.js";

const limitMebibytes = 512;

/** The largest resident memory of a merge, which must not grow with the model. */
export const memory: Benchmark = {
  name: "memory",
  async run(context) {
    const sizes = [context.modelBytes / 4, context.modelBytes] as const;
    const rows: string[][] = [];
    for (const method of benchMethods) {
      context.say(method);
      const merge = (bytes: number) => async (): Promise<ProcessRun> => {
        const recipe = writeRecipe(context.folder, method, makeModels(context.folder, bytes));
        const output = join(context.folder, "merged-for-memory");
        const run = await runAmalgam(["merge", recipe.file, output, "--json"]);
        rmSync(output, { recursive: true });
        return run;
      };
      const runs = await alternate(context, { small: merge(sizes[0]), large: merge(sizes[1]) });
      const peak = medianOf(runs.large, (run) => run.peakBytes);
      const worst = Math.max(...runs.large.map((run) => run.peakBytes));
      rows.push([
        method,
        mebibytes(medianOf(runs.small, (run) => run.peakBytes)),
        mebibytes(peak),
        mebibytes(worst),
        target(worst / 2 ** 20, limitMebibytes, "MiB"),
      ]);
    }
    const [small, large] = sizes.map(
      (bytes) => `${formatBytes(makeModels(context.folder, bytes)[0]?.bytes ?? 0)} models`,
    );
    return [
      {
        title: "Peak memory",
        note: "Largest resident memory of `amalgam merge` and whatever it starts (VmHWM, looked at every 50 ms).",
        columns: ["method", small ?? "", large ?? "", "largest seen", "target"],
        rows,
      },
    ];
  },
};
