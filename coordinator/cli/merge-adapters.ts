import { dtypeFromRecipe } from "../../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Combination } from "../lora/combine.js";
import { mergeAdapters } from "../lora/merge-adapters.js";
import { formatQuantity } from "../plan/report.js";
import { interruptible } from "./interrupt.js";
import { localModels } from "./local-models.js";
import type { Terminal } from "./terminal.js";

export interface MergeAdaptersOptions {
  readonly method: Combination;
  readonly rank?: number | undefined;
  readonly dtype: string;
  readonly json: boolean;
}

/** `amalgam merge-adapters`. Paths: one adapter or more, each with `:weight` behind it or not, then the output. */
export async function mergeAdaptersCommand(
  paths: readonly string[],
  options: MergeAdaptersOptions,
  { stdout, stderr }: Terminal,
): Promise<number> {
  const output = paths.at(-1);
  const named = paths.slice(0, -1).map(readWeighted);
  if (output === undefined || named.length === 0) throw new AmalgamError("usage", "Name an adapter and the output");
  if (options.rank !== undefined && options.method !== "svd") {
    throw new AmalgamError("usage", `--rank goes with --method svd; ${options.method} decides the rank itself`);
  }
  const dtype = dtypeFromRecipe(options.dtype);
  if (dtype === undefined) throw new AmalgamError("usage", `Unknown dtype ${quote(options.dtype)}`);
  const { method: combination, rank } = options;
  const names = named.map(({ directory }) => directory);
  const { json } = options;
  const copies = await interruptible((signal) => localModels(names, { json, signal }, { stdout, stderr }));
  const adapters = named.map((adapter, i) => {
    const { path: directory, url } = copies[i] ?? { path: adapter.directory, url: undefined };
    return { ...adapter, directory, ...(url === undefined ? {} : { name: url }) };
  });
  const merged = await mergeAdapters({ adapters, output, combination, rank, dtype });
  if (options.json) stdout.write(`${JSON.stringify({ output, ...merged })}\n`);
  else {
    stdout.write(`${output}: ${formatQuantity(merged.modules, "module")}, rank ${merged.rank}\n`);
    for (const warning of merged.warnings) stdout.write(`warning: ${warning}\n`);
  }
  return 0;
}

/** `path:0.5` → 0.5 times the adapter; without a number, 1 times. */
function readWeighted(text: string): { directory: string; weight: number } {
  const match = /^(.+):([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)$/i.exec(text);
  const [, directory = text, weight = "1"] = match ?? [];
  return { directory, weight: Number(weight) };
}
