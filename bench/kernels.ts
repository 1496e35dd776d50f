import { patternOf } from "./checkpoints.js";
import { alternate, type Benchmark, median, timed } from "./harness.js";
import { KernelBench } from "./kernel-bench.js";
import { digits, gigabytesPerSecond, ratio } from "./table.js";

/** Elements of each tensor: beyond every cache, so that both sides come from memory. */
const elements = 1 << 24;

const weight = 0.3;
const density = 0.5;

const cases = {
  "linear of 3": { method: "linear", models: 3, perModel: { weight }, merge: { normalize: true } },
  slerp: { method: "slerp", models: 2, base: 0, perModel: {}, merge: { t: 0.4 } },
  "ties of 3 + base": {
    method: "ties",
    models: 4,
    base: 0,
    perModel: { weight, density },
    merge: { lambda: 1, normalize: true, rescale: "none", scope: "tensor" },
  },
  "dare_ties of 3 + base": {
    method: "dare_ties",
    models: 4,
    base: 0,
    perModel: { weight, density },
    merge: { lambda: 1, normalize: false, rescale: "l1" },
  },
} as const;

/** The compiled loops alone, on one thread, against memcpy. */
export const kernels: Benchmark = {
  name: "kernels",
  async run(context) {
    const rows: string[][] = [];
    for (const [name, given] of Object.entries(cases)) {
      context.say(name);
      const bench = new KernelBench(given, elements);
      for (let input = 0; input < given.models; input += 1) bench.fill(input, patternOf(input));
      for (const phase of bench.phases) {
        const from = new Uint8Array(phase.bytesTouched / 2).fill(1);
        const to = new Uint8Array(phase.bytesTouched / 2);
        const runs = await alternate<{ kernel: number; memcpy: number }>(context, {
          memcpy: () => timed(() => to.set(from)),
          kernel: () => timed(() => phase.run()),
        });
        rows.push([
          `${name}: ${phase.name}`,
          digits((median(runs.kernel) / elements) * 1e9),
          gigabytesPerSecond(phase.bytesTouched / median(runs.kernel)),
          gigabytesPerSecond(phase.bytesTouched / median(runs.memcpy)),
          ratio(median(runs.kernel.map((seconds, round) => seconds / (runs.memcpy[round] ?? Number.NaN)))),
        ]);
      }
    }
    return [
      {
        title: "Kernels",
        note:
          `bf16 in and out, ${elements / 2 ** 20} Mi elements per tensor, from memory, one thread, no files. A map pass ` +
          "also counts non-finite elements of every input and of the output. memcpy touches the same number of bytes, read and written together.",
        columns: ["pass", "ns per element", "kernel", "memcpy", "kernel / memcpy"],
        rows,
      },
    ];
  },
};
