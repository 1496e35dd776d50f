import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runMerge } from "../coordinator/job.js";
import { formatCount } from "../shared/quote.js";
import type { Cluster } from "../test/support/cluster/cluster.js";
import { clusterRecipe, runJob, withCluster } from "./cluster.js";
import { alternate, type BenchContext, type Benchmark, median, medianOf } from "./harness.js";
import { startAgent } from "./processes.js";
import { writeTinyMerge } from "./recipes.js";
import { digits, seconds, type Table, target } from "./table.js";

const [few, many] = [400, 4_400];
const limitMs = 2;

/** What leading a job costs a coordinator of a cluster: per unit, and per byte that it takes in. */
export const coordinator: Benchmark = {
  name: "coordinator",
  async run(context) {
    return [...(await perUnit(context)), await perByte(context)];
  },
};

/** Thousands of units that are nothing: lease, dispatch, events and journal are all that there is. */
function perUnit(context: BenchContext): Promise<readonly Table[]> {
  const folder = join(context.folder, "coordinator");
  const title = "Coordinator: CPU per unit";
  return withCluster(title, { folder, coordinators: 1, agents: 2 }, async (cluster) => {
    context.say("units");
    const { pid } = cluster.coordinator(1);
    const runs = await alternate(context, {
      few: () => leadTiny(cluster, few, pid),
      many: () => leadTiny(cluster, many, pid),
    });
    const each = (of: (run: Led) => number): number =>
      (1000 * (medianOf(runs.many, of) - medianOf(runs.few, of))) / (many - few);
    const cpuMs = each(({ cpuSeconds }) => cpuSeconds);
    const note =
      `A linear merge of two models cut into ${formatCount(many)} units of 2 KB each, less one with ${formatCount(few)}, ` +
      "on two agents that write the output themselves. CPU time of the whole coordinator process: planning, events, " +
      "journal, digests and commit are in it.";
    const columns = ["assembly", "coordinator CPU per unit", "target", "time per unit"];
    const row = [
      "direct",
      `${digits(cpuMs)} ms`,
      target(cpuMs, limitMs, "ms"),
      `${digits(each((run) => run.seconds))} ms`,
    ];
    return [{ title, note, columns, rows: [row] }];
  });
}

interface Led {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function leadTiny(cluster: Cluster, tensors: number, pid: number): Promise<Led> {
  const place = join(cluster.folder, `tiny-${tensors}`);
  const recipe = writeTinyMerge(place, tensors);
  const before = cpuSecondsOf(pid);
  const took = await runJob(cluster, recipe, join(place, "output"), "--unit-size", "1", "--assembly", "direct");
  return { seconds: took, cpuSeconds: cpuSecondsOf(pid) - before };
}

/** User and system time of a process and all its threads. NaN where there is no /proc. */
function cpuSecondsOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return Number.NaN;
  }
}

interface Taken {
  readonly bytesPerSecond: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
}

/** Takes in what an agent in another process streams, by this thread alone or by assembling threads. */
async function perByte(context: BenchContext): Promise<Table> {
  const agent = await startAgent(context.folder);
  try {
    const { file } = clusterRecipe(context.folder, "passthrough", context.modelBytes);
    const output = join(context.folder, "assembled");
    const take = (assemblers: number) => (): Promise<Taken> => {
      context.say(`${assemblers} assemblers`);
      return assemble(file, output, agent.address, assemblers);
    };
    const runs = await alternate(context, { none: take(0), one: take(1), two: take(2) });
    const row = (name: string, samples: readonly Taken[]): string[] => [
      name,
      `${(medianOf(samples, (run) => run.bytesPerSecond) / 1e6).toFixed(0)} MB/s`,
      seconds(median(samples.map((run) => run.cpuSeconds))),
      `${Math.round(100 * medianOf(samples, (run) => run.cpuSeconds / run.seconds))} %`,
    ];
    return {
      title: "Coordinator: streamed bytes",
      note:
        `A passthrough merge of ${digits(context.modelBytes / 1e9)} GB that an agent with two slots in another process ` +
        "streams; from the first unit to the last, disk included and commit not. CPU is the coordinator's alone.",
      columns: ["assembled by", "rate", "coordinator CPU", "of one core"],
      rows: [row("the main thread", runs.none), row("1 thread", runs.one), row("2 threads", runs.two)],
    };
  } finally {
    agent.stop();
  }
}

async function assemble(recipeFile: string, output: string, agent: string, assemblers: number): Promise<Taken> {
  let [started, ended] = [0, 0];
  let before = process.cpuUsage();
  let used = before;
  const result = await runMerge({
    recipeFile,
    output,
    assembly: "stream",
    assemblers,
    shardBytes: 5e9,
    overwrite: false,
    agents: { kind: "running", addresses: [agent] },
    onEvent: ({ type }) => {
      if (type === "writing") [started, before] = [performance.now(), process.cpuUsage()];
      if (type === "committing") [ended, used] = [performance.now(), process.cpuUsage(before)];
    },
  });
  rmSync(output, { recursive: true });
  const took = (ended - started) / 1000;
  return {
    seconds: took,
    bytesPerSecond: result.bytesWritten / took,
    cpuSeconds: (used.user + used.system) / 1e6,
  };
}
