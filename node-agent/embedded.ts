import { isMainThread, parentPort } from "node:worker_threads";
import { AmalgamError } from "../shared/errors.js";
import type { FromEmbeddedAgent, ToEmbeddedAgent } from "../shared/rpc/embedding.js";
import { type RunningAgent, runAgent } from "./agent.js";
import { agentUsage, defaults, parseAgentArguments } from "./settings.js";
import { endThreads } from "./threads.js";

/** Whoever started this module as a thread or a forked process, if anyone did. */
export interface Parent {
  tell(message: FromEmbeddedAgent): void;
  /** `gone` is called when the parent has ended or has let go. */
  listen(receive: (message: ToEmbeddedAgent) => void, gone: () => void): void;
}

export function findParent(): Parent | undefined {
  const port = isMainThread ? null : parentPort;
  if (port !== null) {
    return {
      tell: (message) => port.postMessage(message),
      listen: (receive, gone) => {
        port.on("message", receive);
        port.on("close", gone);
      },
    };
  }
  if (process.send === undefined) return undefined;
  return {
    tell: (message) => process.send?.(message),
    listen: (receive, gone) => {
      process.on("message", receive);
      process.on("disconnect", gone);
    },
  };
}

/** How long its threads may take to end. */
const goodbyeMs = 2_000;

/**
 * Runs an agent for a parent: reports the address, closes when told to, and ends at once when the parent is gone, for
 * nobody is left to want its work. Without words it waits to be told them. `worker` replaces the worker threads' module,
 * for tests.
 */
export async function runEmbedded(parent: Parent, words: readonly string[], worker?: URL): Promise<void> {
  let agent: RunningAgent | undefined;
  const serve = async (argv: readonly string[]): Promise<void> => {
    try {
      const command = parseAgentArguments(argv);
      if (command === undefined) throw new AmalgamError("usage", agentUsage);
      agent = await runAgent({ ...command.agent, ...(worker === undefined ? {} : { worker }) });
      parent.tell({ type: "listening", address: agent.address });
    } catch (reason) {
      const { code, message } = AmalgamError.from(reason);
      parent.tell({ type: "failed", code, message });
    }
  };
  const end = (code: number): void => void endThreads(goodbyeMs).finally(() => process.exit(code));
  parent.listen(
    (message) => {
      if (message.type === "serve") void serve(message.argv);
      else void (agent?.close() ?? Promise.resolve()).finally(() => end(0));
    },
    () => end(1),
  );
  // Ctrl-C in a terminal reaches child processes too, but it is for the parent to say what follows from it.
  if (isMainThread) {
    process.on("SIGINT", () => undefined);
    process.on(
      "SIGTERM",
      () => void (agent?.close({ graceMs: defaults.graceMs }) ?? Promise.resolve()).finally(() => end(0)),
    );
  }
  if (words.length > 0) await serve(words);
}
