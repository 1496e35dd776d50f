import { existsSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { AmalgamError } from "../shared/errors.js";
import { runAgent } from "./agent.js";
import { drainGraceMs, findParent, runEmbedded } from "./embedded.js";
import { agentUsage, parseAgentArguments } from "./settings.js";

export { type AgentOptions, type RunningAgent, runAgent } from "./agent.js";

/**
 * `amalgam agent`: serves until SIGTERM or SIGINT, then lets running units finish and refuses new ones. Resolves with
 * the exit code.
 */
export async function main(argv: readonly string[]): Promise<number> {
  quietGrpc();
  try {
    const settings = parseAgentArguments(argv);
    if (settings === undefined) {
      console.log(agentUsage);
      return 0;
    }
    const agent = await runAgent(settings);
    console.log(`Agent ${agent.name} listens on ${agent.address}`);
    await new Promise<void>((resolve, reject) => {
      // A second signal ends everything at once.
      let graceMs = drainGraceMs;
      const drain = (): void => {
        agent.close({ graceMs }).then(resolve, reject);
        graceMs = 0;
      };
      process.on("SIGTERM", drain);
      process.on("SIGINT", drain);
    });
    return 0;
  } catch (reason) {
    const error = AmalgamError.from(reason);
    console.error(error.message);
    return error.exitCode;
  }
}

/** Every failure reaches a caller as an error; grpc-js would print some of them as well. */
function quietGrpc(): void {
  if (process.env["GRPC_VERBOSITY"] === undefined) setLogVerbosity(logVerbosity.NONE);
}

/** Node was told to run this very file, as a program, a thread or a forked process. */
function isEntry(): boolean {
  const [, entry] = process.argv;
  return entry !== undefined && existsSync(entry) && realpathSync(entry) === fileURLToPath(import.meta.url);
}

if (isEntry()) {
  const parent = findParent();
  const argv = process.argv.slice(2);
  if (parent === undefined) process.exit(await main(argv));
  else {
    quietGrpc();
    await runEmbedded(parent, argv);
  }
}
