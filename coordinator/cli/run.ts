import { Command, CommanderError } from "commander";
import { AmalgamError } from "../../shared/errors.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { registerAdapters } from "./commands/adapters.js";
import { registerCluster } from "./commands/cluster.js";
import { registerEvaluating } from "./commands/evaluating.js";
import { registerInspecting } from "./commands/inspecting.js";
import { registerMerging } from "./commands/merging.js";
import { registerProvenance } from "./commands/provenance.js";
import type { Registration } from "./commands/registration.js";
import { registerSecurity } from "./commands/security.js";
import { registerSources } from "./commands/sources.js";
import { registerSweeping } from "./commands/sweeping.js";
import { refuseMisplacedOptions } from "./misplaced-options.js";
import type { Terminal } from "./terminal.js";
import { endUnread } from "./unread.js";

/**
 * Runs one command line and resolves with its exit code: 0 done, 1 something failed, 2 the author can fix it, 130
 * interrupted.
 */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  // The agent has its own options, and is not the coordinator's to parse.
  if (argv[0] === "agent") return terminal.runAgent(argv.slice(1));
  let exitCode = 0;
  const keepCode = async (command: () => Promise<number>): Promise<void> => {
    exitCode = await command();
  };
  try {
    await program(terminal, keepCode).parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (reason) {
    if (reason instanceof CommanderError) return reason.exitCode === 0 ? 0 : 2;
    const error = AmalgamError.from(reason);
    terminal.stderr.write(`${error.message}\n`);
    if (error.code === "internal" && error.cause instanceof Error) terminal.stderr.write(`${error.cause.stack}\n`);
    return error.exitCode;
  }
}

/** All commands and their options. `run`: what is done with the one that was given. */
export function program(terminal: Terminal, run: Registration["run"]): Command {
  const amalgam = new Command("amalgam")
    .description("Merges model checkpoints, on one machine or many, from the recipes mergekit reads")
    .version(packageVersion())
    // Options are of the command that they follow: "sweep extend" has some that "sweep" has too.
    .enablePositionalOptions()
    .hook("preAction", (_, action) => refuseMisplacedOptions(action))
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    });

  const show: Registration["show"] = (command) => {
    endUnread(terminal);
    return run(command);
  };
  const registration = { amalgam, terminal, run, show };
  amalgam.commandsGroup("Merging:");
  registerMerging(registration);
  amalgam.commandsGroup("Checkpoints:");
  registerInspecting(registration);
  registerSources(registration);
  registerProvenance(registration);
  amalgam.commandsGroup("Evaluating:");
  registerEvaluating(registration);
  amalgam.commandsGroup("Searching:");
  registerSweeping(registration);
  amalgam.commandsGroup("Adapters:");
  registerAdapters(registration);
  amalgam.commandsGroup("Cluster:");
  registerCluster(registration);
  registerSecurity(registration);
  return amalgam;
}
