import { fileURLToPath } from "node:url";
import { type ProcessRun, runProcess } from "./processes.js";

/** Nothing is to be fetched, nor asked for. */
const offline = ["HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1"];

/** Why a module cannot be imported; undefined if it can. */
export async function canImport(python: string, module: string): Promise<string | undefined> {
  try {
    await runProcess(python, ["-c", `import ${module}`]);
    return undefined;
  } catch {
    return `the Python that AMALGAM_BENCH_PYTHON names (default: python3) cannot import ${module}`;
  }
}

/** The `mergekit-yaml` command with its defaults, but for the tokenizer, which the models do not have. */
export function runMergekit(python: string, recipe: string, output: string): Promise<ProcessRun> {
  const argv = ["-m", "mergekit.scripts.run_yaml", recipe, output, "--no-copy-tokenizer", "--quiet"];
  return runProcess("env", [...offline, python, ...argv]);
}

/** What mergekit does before it reads the recipe. */
export function startMergekit(python: string): Promise<ProcessRun> {
  return runProcess("env", [...offline, python, "-c", "import mergekit.scripts.run_yaml"]);
}

// Python sources are not compiled, so they stay where they are.
const minimalMerge = fileURLToPath(new URL("../../bench/minimal_merge.py", import.meta.url));

/** Runs minimal_merge.py. */
export function runMinimalMerge(
  python: string,
  library: "numpy" | "torch",
  method: "linear" | "ties",
  output: string,
  inputs: readonly string[],
): Promise<ProcessRun> {
  return runProcess(python, [minimalMerge, library, method, output, ...inputs]);
}
