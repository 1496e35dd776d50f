import { InvalidArgumentError, Option } from "commander";
import { withTlsOptions } from "../cluster-options.js";
import { withEvaluationAgents } from "../evaluation-options.js";
import { repeatable } from "../options.js";
import type { Registration } from "./registration.js";

export function registerEvaluating({ amalgam, terminal, run }: Registration): void {
  const evaluate = amalgam
    .command("eval")
    .description("score checkpoints on tasks; with --out, run again after a crash, it goes on where it was")
    .usage("[options] <checkpoint...> <tasks.yaml>")
    .argument(
      "<words...>",
      "checkpoints to judge (MODEL or NAME=MODEL: a folder, or on a server), and last the task file",
    )
    .option("--base <checkpoint>", "what the others began from: what they forgot is measured against it")
    .addOption(repeatable("--expert <checkpoint>", "an expert of some task, which others are measured against"))
    .addOption(repeatable("--task <name>", "this task only", "all"))
    .addOption(
      new Option(
        "--limit <n>",
        "at most so many examples of each task (default: as the task file says, or all)",
      ).argParser(examples),
    )
    .option("--out <folder>", "for results.json, records.jsonl and report.html (default: nothing is kept)")
    .option("--graph <file>", "an ONNX export to run (default: a graph made from config.json)")
    .option("--graph-base <checkpoint>", "what --graph was exported from, where its weights are inside");
  withEvaluationAgents(evaluate)
    .addOption(new Option("--markdown", "the table as Markdown").conflicts("json").default(false))
    .option("--json", "one event per line for machines, instead of progress and table", false);
  withTlsOptions(evaluate).action((words: readonly string[], options) =>
    run(async () => (await import("../eval.js")).evalCommand(words, options, terminal)),
  );

  amalgam
    .command("compare")
    .description("compare evaluated models example by example: differences with intervals and p")
    .argument("<results...>", "folders that eval --out made, or folder:model; one folder compares the models in it")
    .option("--task <name>", "this task only (default: all)")
    .option("--json", "for machines", false)
    .action((words, options) => run(async () => (await import("../compare.js")).compare(words, options, terminal)));
}

function examples(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError("It is not a number of examples.");
  return number;
}
