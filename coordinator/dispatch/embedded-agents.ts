import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { AmalgamError } from "../../shared/errors.js";
import type { FromEmbeddedAgent, ToEmbeddedAgent } from "../../shared/rpc/embedding.js";

/** How agents are run here. */
export interface Embedding {
  readonly count: number;
  /**
   * `thread`: an event loop of its own within this process, cheap to start. `process`: a crash takes nothing else down,
   * and several move more bytes over gRPC than one.
   */
  readonly mode: "thread" | "process";
  /** The agent's module. */
  readonly entry: URL;
}

/** A thread or a child process that loads an agent's modules, and then waits to be told what it is for. */
export interface Embedded {
  readonly pid?: number;
  /** Resolves with the reason when it is gone, or never was there: starting one does not fail, its end says why. */
  readonly ended: Promise<string>;
  onMessage(receive: (message: FromEmbeddedAgent) => void): void;
  send(message: ToEmbeddedAgent): void;
  kill(): void;
}

export function startEmbedded({ count, mode, entry }: Embedding): readonly Embedded[] {
  return Array.from({ length: count }, () => (mode === "thread" ? startThread(entry) : startProcess(entry)));
}

/**
 * Agents that are started before it is known what for, so that their modules load on other cores while the job is planned:
 * as many of those that are wanted as there are such cores, since more would keep a mistake in the recipe from being told.
 * Disposing ends those that nobody took.
 */
export class EarlyAgents implements AsyncDisposable {
  #embedded: readonly Embedded[];

  /** `otherCores`: that have nothing else to do. @default all but one */
  constructor(embedding: Embedding, otherCores = availableParallelism() - 1) {
    this.#embedded = startEmbedded({ ...embedding, count: Math.min(embedding.count, otherCores) });
  }

  /** Hands them over to who ends them: none when they were handed over before. */
  take(): readonly Embedded[] {
    const embedded = this.#embedded;
    this.#embedded = [];
    return embedded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const left = this.take();
    for (const one of left) one.kill();
    await Promise.all(left.map(({ ended }) => ended));
  }
}

function startThread(entry: URL): Embedded {
  let thread: Worker;
  try {
    thread = new Worker(entry, { argv: [], execArgv: [] });
  } catch (error) {
    return neverStarted("thread", error);
  }
  return {
    ended: new Promise((resolve) => {
      thread.on("error", (error) => resolve(AmalgamError.from(error).message));
      thread.on("exit", (code) => resolve(`its thread ended with code ${code}`));
    }),
    onMessage: (receive) => thread.on("message", receive),
    send: (message) => thread.postMessage(message),
    kill: () => void thread.terminate(),
  };
}

function startProcess(entry: URL): Embedded {
  let child: ChildProcess;
  try {
    child = fork(fileURLToPath(entry), [], { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
  } catch (error) {
    return neverStarted("process", error);
  }
  return {
    ...(child.pid === undefined ? {} : { pid: child.pid }),
    ended: new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("exit", (code, signal) => resolve(`its process ended with ${signal ?? `code ${code}`}`));
    }),
    onMessage: (receive) => child.on("message", receive),
    // The channel may be closing already, which is what was wanted.
    send: (message) => child.connected && child.send(message, () => undefined),
    kill: () => void child.kill("SIGKILL"),
  };
}

/** Thrown on, it would leave those behind that were started before it. */
function neverStarted(what: Embedding["mode"], error: unknown): Embedded {
  const { message } = AmalgamError.from(error);
  return {
    ended: Promise.resolve(`the system gives it no ${what} (${message}), start fewer agents or raise its limits`),
    onMessage: () => undefined,
    send: () => undefined,
    kill: () => undefined,
  };
}
