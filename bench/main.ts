import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseBytes } from "../shared/bytes.js";
import { againstMergekit } from "./against-mergekit.js";
import { againstScripts } from "./against-scripts.js";
import { coordinator } from "./coordinator.js";
import { dispatch } from "./dispatch.js";
import { evaluation } from "./evaluation.js";
import type { Benchmark } from "./harness.js";
import { kernels } from "./kernels.js";
import { memory } from "./memory.js";
import { planning } from "./planning.js";
import { recovery } from "./recovery.js";
import { remote } from "./remote/remote.js";
import { scaling } from "./scaling.js";
import { simulation } from "./simulation.js";
import { sweepSearches } from "./sweeps/searches/searches.js";
import { sweep } from "./sweeps/sweep.js";
import { formatTable } from "./table.js";
import { transport } from "./transport.js";
import { wholeProcess } from "./whole-process.js";

const benchmarks: readonly Benchmark[] = [
  wholeProcess,
  memory,
  againstMergekit,
  againstScripts,
  kernels,
  transport,
  planning,
  dispatch,
  coordinator,
  recovery,
  remote,
  scaling,
  simulation,
  evaluation,
  sweep,
  sweepSearches,
];

const usage = `Usage: npm run bench -- [options]

  --size SIZE   of each model, about; default 1GB
  --runs N      rounds that count; default 5
  --only NAME   one of ${benchmarks.map(({ name }) => name).join(", ")}; repeatable
  --markdown    print tables as Markdown
  --keep        leave the temporary folder
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      size: { type: "string", default: "1GB" },
      runs: { type: "string", default: "5" },
      only: { type: "string", multiple: true },
      markdown: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const modelBytes = parseBytes(values.size);
  const runs = Number(values.runs);
  const chosen = benchmarks.filter(({ name }) => values.only?.includes(name) ?? true);
  const unknown = values.only?.filter((name) => !benchmarks.some((benchmark) => benchmark.name === name)) ?? [];
  if (values.help || modelBytes === undefined || !Number.isInteger(runs) || runs < 1 || unknown.length > 0) {
    console.error(usage);
    process.exitCode = values.help ? 0 : 2;
    return;
  }

  const folder = mkdtempSync(join(tmpdir(), "amalgam-bench-"));
  const remove = (): void => {
    if (!values.keep) rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      remove();
      process.exit(signal === "SIGINT" ? 130 : 143);
    });
  }
  try {
    console.log(describeMachine());
    for (const { name, run } of chosen) {
      const say = (text: string): void => console.error(`${name}: ${text}`);
      const python = process.env["AMALGAM_BENCH_PYTHON"] ?? "python3";
      const before = load();
      const tables = await run({ folder, modelBytes, runs, python, say });
      for (const table of tables) console.log(`\n${formatTable(table, values.markdown)}`);
      console.log(`\nMedians of ${runs}; load ${before} before, ${load()} after.`);
    }
  } finally {
    if (values.keep) console.error(`Kept ${folder}`);
    remove();
  }
}

function describeMachine(): string {
  const [cpu] = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return `${cpus().length} cores of ${cpu?.model.trim() ?? "?"}, ${memory} GiB memory, Node ${process.versions.node}`;
}

function load(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}

await main();
