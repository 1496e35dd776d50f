import { type Command, Option } from "commander";
import { withTlsOptions } from "./cluster-options.js";
import { collect, size, wholeNumber, withOverwrite, withSign, withSizes, withStaging } from "./options.js";

/** Agents that a command starts for itself. `what` one of their slots works on, such as `units`. */
export function withLocalAgents(command: Command, what: string): Command {
  return command
    .addOption(new Option("--agents <n>", "local agents to start").argParser(wholeNumber).default(1))
    .addOption(
      new Option("--slots <n>", `${what} at once per local agent (default: cores / agents)`).argParser(wholeNumber),
    )
    .addOption(
      new Option("--memory <size>", "tensor data per local agent").argParser(size).default(2 * 1024 ** 3, "2GiB"),
    );
}

/** What every command has that makes a checkpoint with agents of its own or by address. */
export function withRunOptions(command: Command): Command {
  withLocalAgents(command, "units")
    .option("--agent-processes", "start local agents as processes of their own, not threads", false)
    .addOption(
      // Not several words after one option: a recipe that comes behind would be one of them.
      new Option("--agent <address>", "use this running agent (host:port) and start none; repeatable (default: none)")
        .argParser((text, before: readonly string[] | undefined) => collect(text, before ?? []))
        .conflicts(["agents", "slots", "memory", "agentProcesses"]),
    );
  withTlsOptions(command).addOption(
    new Option("--assembly <mode>", "agents write files themselves, or stream bytes back")
      .choices(["direct", "stream"] as const)
      .default("direct" as const),
  );
  const folder = " (default: the current folder)";
  return withStaging(withSign(withOverwrite(withSizes(command))), folder).option(
    "--json",
    "one event per line for machines, instead of progress",
    false,
  );
}
