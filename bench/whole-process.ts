import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "../shared/bytes.js";
import { makeModels } from "./checkpoints.js";
import { alternate, type BenchContext, type Benchmark, medianOf, medianRatio } from "./harness.js";
import { type ProcessRun, runAmalgam, runProcess } from "./processes.js";
import { type BenchMethod, type BenchRecipe, benchMethods, writeRecipe, writeTinyMerge } from "./recipes.js";
import { ratio, seconds, type Table, target } from "./table.js";

/** Times the baseline. */
const limits: Partial<Record<BenchMethod, number>> = { linear: 1.5, ties: 3 };

/** Each method as a user runs it, against reading the same bytes and writing as many. */
export const wholeProcess: Benchmark = {
  name: "whole-process",
  async run(context) {
    const models = makeModels(context.folder, context.modelBytes);
    const startUp = await startUpSeconds(context);
    const rows: string[][] = [];
    for (const method of benchMethods) {
      context.say(method);
      rows.push(await rowOf(method, writeRecipe(context.folder, method, models), context));
    }
    return [
      {
        title: "Whole process",
        note:
          `\`amalgam merge\`, ${formatBytes(models[0]?.bytes ?? 0)} per model, page cache warm. The baseline is \`cat\` of ` +
          "the same inputs to /dev/null, then `dd` of zeros to a new file of the output's size, then `sync` of that " +
          "file. Amalgam syncs its output too, reads it once more for its SHA-256, and checks a CRC-32 of every byte. " +
          `A merge of next to nothing takes it ${seconds(startUp)}.`,
        columns: ["method", "baseline", "amalgam", "ratio", "target", "without sync", "CPU baseline", "CPU amalgam"],
        rows,
      } satisfies Table,
    ];
  },
};

async function startUpSeconds(context: BenchContext): Promise<number> {
  const recipe = writeTinyMerge(join(context.folder, "tiny"), 1);
  const output = join(context.folder, "tiny", "output");
  const { merge } = await alternate(context, {
    merge: async () => {
      const run = await runAmalgam(["merge", recipe, output, "--json"]);
      rmSync(output, { recursive: true });
      return run;
    },
  });
  return medianOf(merge, (run) => run.seconds);
}

async function rowOf(method: BenchMethod, recipe: BenchRecipe, context: BenchContext): Promise<string[]> {
  const folder = join(context.folder, "whole-process");
  mkdirSync(folder, { recursive: true });
  const outputBytes = recipe.models[0]?.bytes ?? 0;
  const inputs = recipe.models.map(({ file }) => file);
  const output = join(folder, "output");
  const { baseline, amalgam } = await alternate<{ baseline: Baseline; amalgam: ProcessRun }>(context, {
    baseline: async () => {
      await settleMemory(folder, outputBytes);
      return readAndWrite(inputs, join(folder, "baseline"), outputBytes);
    },
    amalgam: async () => {
      await settleMemory(folder, outputBytes);
      const run = await runAmalgam(["merge", recipe.file, output, "--json"]);
      rmSync(output, { recursive: true });
      return run;
    },
  });
  const secondsOf = (run: { readonly seconds: number }): number => run.seconds;
  const slower = medianRatio(amalgam, baseline, secondsOf, secondsOf);
  const slowerThanUnsynced = medianRatio(amalgam, baseline, secondsOf, (run) => run.unsyncedSeconds);
  const limit = limits[method];
  return [
    method,
    seconds(medianOf(baseline, secondsOf)),
    seconds(medianOf(amalgam, secondsOf)),
    ratio(slower),
    limit === undefined ? "" : target(slower, limit, "×"),
    ratio(slowerThanUnsynced),
    seconds(medianOf(baseline, (run) => run.cpuSeconds)),
    seconds(medianOf(amalgam, (run) => run.cpuSeconds)),
  ];
}

interface Baseline {
  readonly seconds: number;
  readonly unsyncedSeconds: number;
  readonly cpuSeconds: number;
}

/**
 * A virtual machine may have to ask its host for memory that was not used lately, which can make a write ten times
 * slower. Memory that was used a moment ago it has, and so both contenders start with as much as they write.
 */
async function settleMemory(folder: string, bytes: number): Promise<void> {
  const file = join(folder, "settle");
  await runProcess("dd", ["if=/dev/zero", `of=${file}`, "bs=1M", `count=${Math.ceil((1.2 * bytes) / 2 ** 20)}`]);
  rmSync(file);
}

async function readAndWrite(inputs: readonly string[], output: string, bytes: number): Promise<Baseline> {
  const cat = await runProcess("sh", ["-c", 'cat "$@" > /dev/null', "sh", ...inputs]);
  const blocks = Math.ceil(bytes / 2 ** 20);
  const write = await runProcess("dd", ["if=/dev/zero", `of=${output}`, "bs=1M", `count=${blocks}`]);
  const sync = await runProcess("sync", [output]);
  rmSync(output);
  const unsyncedSeconds = cat.seconds + write.seconds;
  return {
    seconds: unsyncedSeconds + sync.seconds,
    unsyncedSeconds,
    cpuSeconds: cat.cpuSeconds + write.cpuSeconds + sync.cpuSeconds,
  };
}
