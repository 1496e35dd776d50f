import { lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { formatBytes } from "../../shared/bytes.js";
import { whyNoNginx } from "../../test/support/remote/nginx.js";
import { makeModels } from "../checkpoints.js";
import { alternate, type BenchContext, type Benchmark, medianOf } from "../harness.js";
import { type ProcessRun, runAmalgam, runProcess } from "../processes.js";
import { canImport } from "../python.js";
import { type BenchMethod, writeRecipe } from "../recipes.js";
import { ratio, seconds, type Table } from "../table.js";
import { type BenchHub, startBenchHub } from "./hub.js";

const title = "Models on a server";
const methods = ["linear", "ties"] as const satisfies readonly BenchMethod[];
/** Of each connection. */
const bytesPerSecond = 100e6;

/** One way from models on the Hub to a merged one. */
interface Way {
  readonly seconds: number;
  /** Beside the output. */
  readonly storedBytes: number;
  readonly requests: number;
}

interface Place {
  readonly hub: BenchHub;
  readonly ids: readonly string[];
  readonly recipe: string;
  readonly output: string;
  /** Where downloads go; empty before each run. */
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Merging without a download, against a download and a merge: Amalgam's, and mergekit's after huggingface_hub's. */
export const remote: Benchmark = {
  name: "remote",
  async run(context) {
    const reason = whyNoNginx();
    if (reason !== undefined) return [{ title, note: `Skipped: ${reason}.`, columns: [], rows: [] }];
    const models = makeModels(context.folder, context.modelBytes);
    const root = dirname(models[0]?.directory ?? "");
    const named = models.map((model) => ({ ...model, directory: `bench/${basename(model.directory)}` }));
    context.say("hashing");
    const served = named.map(({ directory: id }) => ({ id, folder: basename(id) }));
    await using hub = await startBenchHub(root, served, bytesPerSecond);
    const work = join(context.folder, "remote");
    mkdirSync(work, { recursive: true });
    const missing =
      (await canImport(context.python, "mergekit")) ?? (await canImport(context.python, "huggingface_hub"));
    const rows: string[][] = [];
    for (const method of methods) {
      context.say(method);
      const recipe = writeRecipe(work, method, named);
      const home = join(work, "home");
      const env = { HF_ENDPOINT: hub.url, HF_HOME: home, HF_HUB_OFFLINE: "", HF_HUB_DISABLE_XET: "1" };
      const ids = recipe.models.map(({ directory }) => directory);
      const place: Place = { hub, ids, recipe: recipe.file, output: join(work, "output"), home, env };
      rows.push(...(await rowsOf(method, place, context, missing === undefined)));
    }
    const without = missing === undefined ? "" : ` Without mergekit: ${missing}.`;
    return [
      {
        title,
        note:
          `Models of ${formatBytes(models[0]?.bytes ?? 0)} on a server of the Hub's kind on loopback, which sends each answer at ` +
          `${formatBytes(bytesPerSecond)}/s; whole processes with their defaults, nothing downloaded before. "Stored" is what lies on ` +
          `the disk beside the output in the end.${without}`,
        columns: ["method", "way", "time", "to the first", "requests for weights", "stored"],
        rows,
      } satisfies Table,
    ];
  },
};

async function rowsOf(
  method: string,
  place: Place,
  context: BenchContext,
  hasMergekit: boolean,
): Promise<readonly string[][]> {
  const ways: Record<string, () => Promise<Way>> = {
    "amalgam merge": () => measured(place, [() => merge(place)]),
    "amalgam download, then merge": () => measured(place, [() => download(place), () => merge(place, offline)]),
    ...(hasMergekit && {
      "huggingface_hub, then mergekit": () =>
        measured(place, [() => downloadByPython(place, context.python), () => mergeByMergekit(place, context.python)]),
    }),
  };
  const samples = await alternate<Record<string, Way>>(context, ways);
  const first = medianOf(samples["amalgam merge"] ?? [], secondsOf);
  return Object.entries(samples).map(([way, runs]) => [
    method,
    way,
    seconds(medianOf(runs, secondsOf)),
    ratio(medianOf(runs, secondsOf) / first),
    String(medianOf(runs, ({ requests }) => requests)),
    formatBytes(medianOf(runs, ({ storedBytes }) => storedBytes)),
  ]);
}

const secondsOf = ({ seconds: taken }: Way): number => taken;
const offline = { HF_HUB_OFFLINE: "1", TRANSFORMERS_OFFLINE: "1" };

/** One step after the other, from nothing. */
async function measured({ hub, home, output }: Place, steps: readonly (() => Promise<ProcessRun>)[]): Promise<Way> {
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home);
  const before = await hub.weightRequests();
  let taken = 0;
  for (const step of steps) taken += (await step()).seconds;
  const requests = (await hub.weightRequests()) - before;
  rmSync(output, { recursive: true });
  return { seconds: taken, storedBytes: sizeOf(home), requests };
}

function merge({ recipe, output, env }: Place, more: Readonly<Record<string, string>> = {}): Promise<ProcessRun> {
  return runAmalgam(["merge", recipe, output, "--json"], { env: { ...env, ...more } });
}

function download({ ids, env }: Place): Promise<ProcessRun> {
  return runAmalgam(["download", ...ids], { env });
}

function downloadByPython({ ids, env }: Place, python: string): Promise<ProcessRun> {
  const code = "import sys, huggingface_hub\nfor model in sys.argv[1:]: huggingface_hub.snapshot_download(model)";
  return runProcess(python, ["-c", code, ...ids], { env });
}

function mergeByMergekit({ recipe, output, env }: Place, python: string): Promise<ProcessRun> {
  const argv = ["-m", "mergekit.scripts.run_yaml", recipe, output, "--no-copy-tokenizer", "--quiet"];
  // It asks the Hub for the list of files, though it has them.
  return runProcess(python, argv, { env });
}

/** Of all files below a folder; links count for nothing. */
function sizeOf(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const stats = lstatSync(join(folder, name));
    if (stats.isFile()) bytes += stats.size;
  }
  return bytes;
}
