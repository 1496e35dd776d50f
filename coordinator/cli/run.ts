import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { parseBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import { packageVersion } from "../../shared/rpc/version.js";
import type { Terminal } from "./terminal.js";

/**
 * Runs one command line and resolves with its exit code: 0 done, 1 something failed, 2 the author can fix it, 130
 * interrupted. Commands load what they need when they run, so that `amalgam --help` is instant.
 */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  // The agent has its own options, and is not the coordinator's to parse.
  if (argv[0] === "agent") return terminal.runAgent(argv.slice(1));
  let exitCode = 0;
  const command = (action: () => Promise<number>): Promise<void> =>
    action().then((code) => {
      exitCode = code;
    });
  try {
    await program(terminal, command).parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (reason) {
    if (reason instanceof CommanderError) return reason.exitCode === 0 ? 0 : 2;
    const error = AmalgamError.from(reason);
    terminal.stderr.write(`${error.message}\n`);
    if (error.code === "internal" && error.cause instanceof Error) terminal.stderr.write(`${error.cause.stack}\n`);
    return error.exitCode;
  }
}

function program(terminal: Terminal, command: (action: () => Promise<number>) => Promise<void>): Command {
  const amalgam = new Command("amalgam")
    .description("Merges model checkpoints, on one machine or many, from the recipes mergekit reads")
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    });

  withRunOptions(amalgam.command("merge"))
    .description("merge the models of a recipe; run again after a crash, it goes on where it was")
    .argument("<recipe>", "a mergekit recipe (YAML)")
    .argument("<output>", "the folder to make")
    .action((recipe, output, options) =>
      command(async () => (await import("./merge.js")).merge(recipe, output, options, terminal)),
    );

  amalgam
    .command("plan")
    .description("check a recipe and say what merging it takes, from headers alone")
    .argument("<recipe>", "a mergekit recipe (YAML)")
    .option("--json", "for machines", false)
    .option("--strict", "warnings are failures: exit code 1", false)
    .addOption(new Option("--agents <n>", "agents to plan for").argParser(wholeNumber).default(1))
    .addOption(new Option("--slots <n>", "units at once per agent (default: cores / agents)").argParser(wholeNumber))
    .addOption(new Option("--unit-size <size>", "output per unit of work (default: by the job's size)").argParser(size))
    .addOption(new Option("--shard-size <size>", "largest output file").argParser(size).default(5e9, "5GB"))
    .action((recipe, options) => command(async () => (await import("./plan.js")).plan(recipe, options, terminal)));

  withRunOptions(amalgam.command("moe"))
    .description("make a mixture of experts from dense models; run again after a crash, it goes on where it was")
    .argument("<config>", "a mergekit-moe config (YAML)")
    .argument("<output>", "the folder to make")
    .option("--allow-identical-experts", "experts may all be one model, for an output that is to be trained", false)
    .option("--plan", "check the config and say what it takes, and make nothing", false)
    .action((config, output, options) =>
      command(async () => (await import("./moe.js")).moe(config, output, options, terminal)),
    );

  amalgam
    .command("methods")
    .description("list the merge methods and their parameters")
    .argument("[name]", "only this one, in detail")
    .option("--json", "for machines", false)
    .action((name, options) =>
      command(async () => (await import("./methods.js")).listMethods(name, options, terminal)),
    );

  amalgam
    .command("verify")
    .description("check an output against its manifest, offline")
    .argument("<output>", "a folder that Amalgam made")
    .option("--json", "for machines", false)
    .action((output, options) => command(async () => (await import("./verify.js")).verify(output, options, terminal)));

  amalgam
    .command("diff")
    .description("compare two checkpoints tensor by tensor; exit code 1 if they differ")
    .argument("<a>", "a checkpoint")
    .argument("<b>", "another")
    .option("--json", "for machines", false)
    .action((a, b, options) => command(async () => (await import("./diff.js")).diff(a, b, options, terminal)));

  amalgam
    .command("extract-lora")
    .description("extract a LoRA adapter (PEFT's format) from what fine-tuning changed")
    .argument("<output>", "the folder to make")
    .requiredOption("--model <folder>", "the fine-tuned model")
    .requiredOption("--base <folder>", "what it was fine-tuned from")
    .addOption(new Option("--max-rank <n>", "largest rank of a module").argParser(rank).default(128))
    .addOption(
      new Option("--sv-epsilon <number>", "leave out singular values up to it").argParser(nonNegative).default(0),
    )
    .option("--distribute-scale", "the root of each singular value into either factor", true)
    .option("--no-distribute-scale", "each singular value into A")
    .option("--embed-lora", "factors for embeddings and head too, which are saved whole otherwise", false)
    .addOption(
      new Option("--save-module <name>", "save a module whole; may be repeated").argParser(collect).default([]),
    )
    .addOption(
      new Option("-i, --include-regex <regex>", "only modules that one of them finds; may be repeated")
        .argParser(collect)
        .default([]),
    )
    .addOption(
      new Option("-e, --exclude-regex <regex>", "no modules that one of them finds; may be repeated")
        .argParser(collect)
        .default([]),
    )
    .option("--skip-undecomposable", "leave out what is no matrix, such as norms, instead of saving it whole", false)
    .addOption(
      new Option("--dtype <dtype>", "of the factors (default: the model's)").choices([
        "float32",
        "bfloat16",
        "float16",
      ] as const),
    )
    .addOption(new Option("--agents <n>", "local agents to start").argParser(wholeNumber).default(1))
    .addOption(new Option("--slots <n>", "matrices at once per agent (default: cores / agents)").argParser(wholeNumber))
    .addOption(
      new Option("--memory <size>", "tensor data per local agent").argParser(size).default(2 * 1024 ** 3, "2GiB"),
    )
    .option("--json", "one event per line for machines, instead of progress", false)
    .action((output, options) =>
      command(async () => (await import("./extract-lora.js")).extractLoraCommand(output, options, terminal)),
    );

  amalgam
    .command("merge-adapters")
    .description("merge LoRA adapters of one base into one adapter (PEFT's format)")
    .usage("[options] <adapter[:weight]>... <output>")
    .argument("<paths...>", "adapters, each with its weight (1 without), then the folder to make")
    .addOption(
      new Option("--method <method>", "svd: nearest of a rank; concatenate: exact, ranks add up; linear: A and B apart")
        .choices(["svd", "concatenate", "linear"] as const)
        .default("svd" as const),
    )
    .addOption(new Option("--rank <n>", "rank for svd (default: the largest of the adapters)").argParser(rank))
    .addOption(
      new Option("--dtype <dtype>", "of the factors")
        .choices(["float32", "bfloat16", "float16"] as const)
        .default("float32" as const),
    )
    .option("--json", "for machines", false)
    .action((paths, options) =>
      command(async () => (await import("./merge-adapters.js")).mergeAdaptersCommand(paths, options, terminal)),
    );

  amalgam.command("agent").description("serve units to coordinators; see amalgam agent --help");
  return amalgam;
}

/** What every command has that makes a checkpoint. */
function withRunOptions(command: Command): Command {
  return command
    .addOption(new Option("--agents <n>", "local agents to start").argParser(wholeNumber).default(1))
    .option("--agent-processes", "start local agents as processes of their own, not threads", false)
    .option("--agent <address...>", "use these running agents (host:port) and start none")
    .addOption(
      new Option("--slots <n>", "units at once per local agent (default: cores / agents)").argParser(wholeNumber),
    )
    .addOption(
      new Option("--memory <size>", "tensor data per local agent").argParser(size).default(2 * 1024 ** 3, "2GiB"),
    )
    .addOption(
      new Option("--assembly <mode>", "agents write files themselves, or stream bytes back")
        .choices(["direct", "stream"] as const)
        .default("direct" as const),
    )
    .addOption(new Option("--unit-size <size>", "output per unit of work (default: by the job's size)").argParser(size))
    .addOption(new Option("--shard-size <size>", "largest output file").argParser(size).default(5e9, "5GB"))
    .option("--overwrite", "replace an output that Amalgam made, and discard unfinished work of another recipe", false)
    .option("--json", "one event per line for machines, instead of progress", false);
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 1024)
    throw new InvalidArgumentError("It is not a number from 1 to 1024.");
  return number;
}

function rank(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 65_536)
    throw new InvalidArgumentError("It is not a number from 1 to 65536.");
  return number;
}

function nonNegative(text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !(number >= 0) || number === Number.POSITIVE_INFINITY) {
    throw new InvalidArgumentError("It is not a number from 0 on.");
  }
  return number;
}

/** One more value of an option that may be repeated. */
function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

function size(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0) throw new InvalidArgumentError('It is not a size such as "512MiB".');
  return bytes;
}
