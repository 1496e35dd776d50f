import { formatCount } from "../shared/quote.js";
import { kimiPlan } from "../test/simulation/scale/kimi.js";
import { mergeAtScale, type ScaleResult } from "../test/simulation/scale/merge-at-scale.js";
import type { Benchmark } from "./harness.js";
import { digits, seconds, target } from "./table.js";

const [nodes, slots] = [1_000, 8];
const inputs = 4;
const [calmPercent, deadlyPercent] = [90, 75];
const deathsPerMinute = 0.01;

/** Gigabytes per second, of the shared storage and of each node's network card. */
const settings: readonly (readonly [storage: number, node: number])[] = [
  [100, 12.5],
  [100, 1.25],
  [25, 1.25],
  [6, 1.25],
  [1.25, 1.25],
  [1_000, 0.125],
];

/** A merge of a trillion parameters on a thousand nodes, on a clock that is not waited for. */
export const simulation: Benchmark = {
  name: "simulation",
  async run({ say }) {
    const plan = kimiPlan({ inputs });
    const bytes = plan.files.reduce((total, file) => total + file.bytes, 0);
    const rows: string[][] = [];
    for (const [storage, node] of settings) {
      say(`${storage} GB/s`);
      const bandwidths = { node: node * 1e9, read: storage * 1e9, write: storage * 1e9 };
      const calm = await mergeAtScale(plan, { nodes, slots, bandwidths });
      const deadly = await mergeAtScale(plan, { nodes, slots, bandwidths, deathsPerMinute });
      rows.push([
        `${storage} GB/s`,
        `${node} GB/s`,
        seconds(calm.boundSeconds),
        formatCount(calm.units),
        ...efficiencyOf(calm, calmPercent),
        ...efficiencyOf(deadly, deadlyPercent),
        formatCount(deadly.deaths),
        formatCount(deadly.retries),
        `${digits(1000 * calm.dispatcherMs)} µs`,
      ]);
    }
    return [
      {
        title: "A thousand nodes, simulated",
        note:
          `The real scheduler and units on a plan with the shapes of Kimi-K2: ${formatCount(plan.tensors.length)} tensors, ` +
          `${(bytes / 1e9).toFixed(0)} GB, ${inputs} models read, agents write to shared storage. ${formatCount(nodes)} nodes of ` +
          `${slots} slots; bandwidth is shared fairly; the coordinator needs 1.1 ms per unit, as measured. Dying: 1 % of ` +
          "the nodes a minute, found out after 6 s, replaced after 2 min. The bound is that of reading and writing everything once.",
        columns: [
          ...["storage", "each node", "bound", "units", "time", "efficiency", "target"],
          ...["time, nodes dying", "efficiency", "target", "deaths", "retries", "dispatcher per unit"],
        ],
        rows,
      },
    ];
  },
};

function efficiencyOf(result: ScaleResult, percent: number): readonly string[] {
  const reached = 100 * result.efficiency;
  return [seconds(result.seconds), `${digits(reached)} %`, target(reached, percent, "%", "at least")];
}
