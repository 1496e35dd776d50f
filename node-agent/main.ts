import { existsSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { AmalgamError } from "../shared/errors.js";
import type { LogFields, LogFormat } from "../shared/log/log.js";
import { findParent, runEmbedded } from "./embedded.js";
import type { Ending } from "./serve.js";
import { agentUsage, parseAgentArguments } from "./settings.js";
import { endThreads } from "./threads.js";

export { type AgentOptions, type RunningAgent, runAgent } from "./agent.js";

/**
 * `amalgam agent`: serves until SIGTERM or SIGINT, then lets running units finish and refuses new ones; a second signal
 * ends everything. Resolves with the exit code.
 */
export async function main(argv: readonly string[]): Promise<number> {
  quietGrpc();
  let format: LogFormat = "text";
  endOnSurprise(() => format);
  try {
    const command = parseAgentArguments(argv, process.env);
    if (command === undefined) {
      console.log(agentUsage);
      return 0;
    }
    format = command.telling.format;
    // What an agent of a cluster needs, and one that a merge starts for itself does not.
    const { serve } = await import("./serve.js");
    await serve(command, listenForSignals(), console);
    // A connection to a NATS server that does not answer takes its time to close.
    setTimeout(() => void leave(0), goodbyeMs).unref();
    return 0;
  } catch (reason) {
    const error = AmalgamError.from(reason);
    await tellEnd(error.message, format, { code: error.code });
    return error.exitCode;
  } finally {
    await endThreads(goodbyeMs);
  }
}

/** Whoever reads lines of JSON gets the last one so, too. */
async function tellEnd(message: string, format: LogFormat, fields: LogFields): Promise<void> {
  if (format === "text") return console.error(message);
  const { openLog } = await import("../shared/log/open-log.js");
  const log = await openLog({ format, base: { role: "agent" }, write: (line) => void process.stderr.write(line) });
  log.error(message, fields);
}

/** How long goodbyes may take: after the second signal, and when all is done. */
const goodbyeMs = 2_000;

function listenForSignals(): Ending {
  const [drain, now] = [new AbortController(), new AbortController()];
  const onSignal = (): void => {
    if (drain.signal.aborted) {
      now.abort();
      setTimeout(() => void leave(1), goodbyeMs).unref();
    }
    drain.abort();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return { drain: drain.signal, now: now.signal };
}

/** An agent in an unknown state must not go on; its coordinators see the connection end. */
function endOnSurprise(format: () => LogFormat): void {
  process.on("uncaughtException", (reason) => {
    const { stack, code } = AmalgamError.from(reason);
    const message = `The agent ends, for something happened that nobody was prepared for: ${stack}`;
    void tellEnd(message, format(), { code }).finally(() => leave(1));
  });
}

async function leave(code: number): Promise<void> {
  await endThreads(goodbyeMs);
  process.exit(code);
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
