import { join } from "node:path";
import type { Cluster } from "../test/support/cluster/cluster.js";
import { clusterRecipe, runJob, withCluster } from "./cluster.js";
import { alternate, type Benchmark, median } from "./harness.js";
import { digits, ratio, seconds, type Table, target } from "./table.js";

const counts = [1, 2, 4] as const;
const limitBytes = 40e6;
const maxModelBytes = 300e6;
const unitBytes = 4 << 20;
const leastPercent = 80;

/**
 * The same job by more and more agents that write the output themselves. Each has a disk of its own as far as it can
 * tell, `--io-limit`, for on one machine they would otherwise only share what there is.
 */
export const scaling: Benchmark = {
  name: "scaling",
  run(context) {
    const folder = join(context.folder, "scaling");
    const options = { folder, agents: Math.max(...counts), agentOptions: () => ["--io-limit", `${limitBytes}`] };
    return withCluster(title, options, async (cluster) => {
      const recipe = clusterRecipe(folder, "linear", Math.min(context.modelBytes, maxModelBytes));
      const argv = ["--assembly", "direct", "--unit-size", String(unitBytes)];
      const job = async (agents: number): Promise<number> => {
        context.say(`${agents} agents`);
        await keep(cluster, agents);
        return runJob(cluster, recipe.file, join(folder, "output"), ...argv);
      };
      const runs = await alternate(context, { 1: () => job(1), 2: () => job(2), 4: () => job(4) });
      return [tableOf(recipe.bytes, (agents) => median(runs[agents]))];
    });
  },
};

const title = "Scaling";

function tableOf(bytes: number, secondsOf: (agents: (typeof counts)[number]) => number): Table {
  const alone = secondsOf(1);
  const note =
    `A linear merge that reads and writes ${digits(bytes / 1e9)} GB, by agents that may read and write ` +
    `${limitBytes / 1e6} MB a second each. The bound is those bytes at that speed; a job is timed from the submit to its ` +
    "end, planning, digests and commit included.";
  return {
    title,
    note,
    columns: ["agents", "job", "bound", "of the bound", "speed-up", "efficiency", "target"],
    rows: counts.map((agents) => {
      const took = secondsOf(agents);
      const bound = bytes / (agents * limitBytes);
      const efficiency = alone / took / agents;
      return [
        `${agents}`,
        seconds(took),
        seconds(bound),
        `${Math.round((100 * bound) / took)} %`,
        ratio(alone / took),
        `${Math.round(100 * efficiency)} %`,
        agents === 1 ? "" : target(100 * efficiency, leastPercent, "%", "at least"),
      ];
    }),
  };
}

/** Leaves the cluster with so many agents. */
async function keep(cluster: Cluster, agents: number): Promise<void> {
  await Promise.all(cluster.agents.map((agent, i) => (i < agents ? agent.start() : agent.kill("SIGTERM"))));
}
