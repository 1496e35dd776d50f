import { type Command, InvalidArgumentError, Option } from "commander";
import { withTlsOptions } from "../cluster-options.js";
import { withEvaluationAgents } from "../evaluation-options.js";
import { size, wholeNumber } from "../options.js";
import type { Registration } from "./registration.js";

export function registerSweeping({ amalgam, terminal, run, show }: Registration): void {
  const sweep = amalgam
    .command("sweep")
    .description("search merge recipes for the best one; run again after a crash, it goes on where it was")
    .usage("[options] <sweep.yaml>")
    .argument("<sweep.yaml>", "a recipe with ranges and choices, tasks, objectives, a budget and a search")
    .option("--out <folder>", "for all that is found out (default: <name>.sweep beside the file)")
    .option("--overwrite", "discard another sweep in that folder", false)
    // Options after the name of a subcommand are the subcommand's.
    .enablePositionalOptions();
  withRunOptions(sweep).action((file, options) =>
    run(async () => (await import("../sweep.js")).sweep(file, options, terminal)),
  );

  const resume = sweep.command("resume").description("go on with a sweep that was interrupted");
  withRunOptions(withFolder(resume)).action((folder, options) =>
    run(async () => (await import("../sweep.js")).resumeSweep(folder, options, terminal)),
  );

  const extend = sweep
    .command("extend")
    .description("give a sweep more of its budget, and go on")
    .addOption(new Option("--trials <n>", "so many trials more").argParser(more))
    .addOption(new Option("--examples <n>", "so many examples more").argParser(more))
    .addOption(new Option("--minutes <n>", "so much time more").argParser(more));
  withRunOptions(withFolder(extend)).action((folder, options) =>
    run(async () => (await import("../sweep.js")).extendSweep(folder, options, terminal)),
  );

  const retry = sweep
    .command("retry")
    .description("run trials again that failed, and go on; the search keeps what it was told of them")
    .requiredOption("--failed", "those that failed");
  withRunOptions(withFolder(retry)).action((folder, options) =>
    run(async () => (await import("../sweep.js")).retrySweep(folder, options, terminal)),
  );

  withFolder(sweep.command("report"))
    .description("make report.html and trials.parquet of a sweep's trials so far, also while it runs")
    .option("--json", "for machines", false)
    .action((folder, options) =>
      show(async () => (await import("../sweep-report.js")).reportSweep(folder, options, terminal)),
    );

  withFolder(sweep.command("top"))
    .description("list the best trials of a sweep, also while it runs")
    .addOption(new Option("-n, --number <n>", "how many").argParser(wholeNumber).default(10))
    .option("--json", "for machines", false)
    .action((folder, options) =>
      show(async () => (await import("../sweep-top.js")).topTrials(folder, options, terminal)),
    );
}

function withFolder(command: Command): Command {
  return command.argument("<folder>", "that amalgam sweep made");
}

/** How trials are run, and what becomes of the best. */
function withRunOptions(command: Command): Command {
  withEvaluationAgents(command)
    .addOption(
      new Option(
        "--trial-memory <size>",
        "for trials, per local agent (default: their share of half of what is free)",
      ).argParser(size),
    )
    .option("--merge-best <output>", "merge the best recipe into this folder (default: not)");
  return withTlsOptions(command).option(
    "--json",
    "one event per line for machines, instead of progress and table",
    false,
  );
}

function more(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError("It is not a number from 1 on.");
  return number;
}
