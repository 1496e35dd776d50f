import { rmSync } from "node:fs";
import { join } from "node:path";
import { formatCount } from "../shared/quote.js";
import { alternate, type BenchContext, type Benchmark, median } from "./harness.js";
import { type ProcessRun, runAmalgam, startAgent } from "./processes.js";
import { writeTinyMerge } from "./recipes.js";
import { digits, target } from "./table.js";

const [few, many] = [400, 4_400];
const limitMs = 2;

/**
 * What a unit costs the coordinator besides its bytes: thousands of units of a tensor each, small enough to be nothing.
 * The agent is another process, and the cost of starting is taken off by comparing many units with few.
 */
export const dispatch: Benchmark = {
  name: "dispatch",
  async run(context) {
    const agent = await startAgent(context.folder);
    try {
      const rows: string[][] = [];
      for (const assembly of ["direct", "stream"] as const) {
        context.say(assembly);
        const runs = await alternate(context, {
          few: () => run(context, few, agent.address, assembly),
          many: () => run(context, many, agent.address, assembly),
        });
        const perUnit = (of: (run: ProcessRun) => number): number =>
          median(runs.many.map((sample, i) => (of(sample) - of(runs.few[i] ?? sample)) / (many - few)));
        const cpuMs = 1000 * perUnit(({ cpuSeconds }) => cpuSeconds);
        const wallMs = 1000 * perUnit(({ seconds }) => seconds);
        rows.push([assembly, `${digits(cpuMs)} ms`, target(cpuMs, limitMs, "ms"), `${digits(wallMs)} ms`]);
      }
      const title = "Dispatch";
      const note =
        `A linear merge of two models cut into ${formatCount(many)} units of 2 KB each, less one with ${formatCount(few)}; ` +
        "an agent with two slots in another process. Planning, journal, digests and commit are in it.";
      return [{ title, note, columns: ["assembly", "coordinator CPU per unit", "target", "time per unit"], rows }];
    } finally {
      agent.stop();
    }
  },
};

async function run({ folder }: BenchContext, tensors: number, agent: string, assembly: string): Promise<ProcessRun> {
  const place = join(folder, `dispatch-${tensors}`);
  const recipe = writeTinyMerge(place, tensors);
  const output = join(place, "output");
  const options = ["--agent", agent, "--unit-size", "1", "--assembly", assembly, "--json"];
  const measured = await runAmalgam(["merge", recipe, output, ...options]);
  rmSync(output, { recursive: true });
  return measured;
}
