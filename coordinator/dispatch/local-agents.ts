import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { FromEmbeddedAgent, ToEmbeddedAgent } from "../../shared/rpc/embedding.js";

export interface LocalAgentsOptions {
  readonly count: number;
  /**
   * `thread`: an event loop of its own within this process, cheap to start. `process`: a crash takes nothing else down,
   * and several move more bytes over gRPC than one.
   */
  readonly mode: "thread" | "process";
  /** The agent's module. */
  readonly entry: URL;
  readonly roots: readonly string[];
  readonly slotsEach: number;
  /** For tensor data. */
  readonly memoryBytesEach: number;
  /** Further words of its command line, as `amalgam agent --help` lists them. @default none */
  readonly words?: readonly string[] | undefined;
}

export interface LocalAgents extends AsyncDisposable {
  readonly addresses: readonly string[];
  /** Process ids, in process mode. */
  readonly pids: readonly number[];
  /** Called with the address of an agent that has ended by itself. Connections only show that it does not answer. */
  onExit(listener: (address: string, reason: AmalgamError) => void): void;
}

/** An agent that has not said by then where it listens has failed. */
const startTimeoutMs = 30_000;
/** An agent that has not ended by then, once told to, is killed. */
const closeTimeoutMs = 3_000;

/** A thread or a child process that runs an agent. */
interface Embedded {
  readonly pid?: number;
  onMessage(receive: (message: FromEmbeddedAgent) => void): void;
  onEnd(ended: (reason: string) => void): void;
  send(message: ToEmbeddedAgent): void;
  kill(): void;
}

/**
 * Starts agents on this machine, on free loopback ports. They end with the returned object, and with this process
 * however it ends: a thread has no choice, and a child sees its channel close.
 */
export async function startLocalAgents(options: LocalAgentsOptions): Promise<LocalAgents> {
  const started = Array.from({ length: options.count }, (_, i) => startOne(options, `local-${i + 1}`));
  let isClosing = false;
  const close = async (): Promise<void> => {
    isClosing = true;
    await Promise.all(started.map((agent) => agent.close()));
  };
  try {
    const addresses = await Promise.all(started.map((agent) => agent.address));
    return {
      addresses,
      pids: started.flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
      onExit: (listener) => {
        started.forEach(({ ended, name }, i) => {
          void ended.then((reason) => {
            const message = `Agent ${quote(name)} has ended: ${reason}`;
            if (!isClosing) listener(addresses[i] ?? "", new AmalgamError("agent_lost", message));
          });
        });
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw AmalgamError.from(error);
  }
}

function startOne(options: LocalAgentsOptions, name: string) {
  const { roots, slotsEach, memoryBytesEach, words = [] } = options;
  const settings = { slots: slotsEach, memory: memoryBytesEach, name };
  const argv = [
    ...roots.flatMap((root) => ["--root", root]),
    ...Object.entries(settings).flatMap(([option, value]) => [`--${option}`, String(value)]),
    ...words,
  ];
  const embedded = options.mode === "thread" ? startThread(options.entry, argv) : startProcess(options.entry, argv);
  let hasEnded = false;
  const ended = new Promise<string>((resolve) => {
    embedded.onEnd((reason) => {
      hasEnded = true;
      resolve(reason);
    });
  });
  const address = new Promise<string>((resolve, reject) => {
    const fail = (reason: string): void => {
      clearTimeout(timer);
      reject(new AmalgamError("internal", `Cannot start agent "${name}": ${reason}`));
    };
    const timer = setTimeout(
      () => fail(`it did not say where it listens within ${startTimeoutMs / 1000} seconds`),
      startTimeoutMs,
    );
    embedded.onEnd((reason) => fail(reason));
    embedded.onMessage((message) => {
      clearTimeout(timer);
      if (message.type === "listening") resolve(message.address);
      else reject(new AmalgamError(message.code, message.message));
    });
  });
  // Whoever started the others sees the first failure; this one may come while they are being closed.
  address.catch(() => undefined);
  const close = async (): Promise<void> => {
    if (hasEnded) return;
    embedded.send({ type: "close" });
    const timer = setTimeout(() => embedded.kill(), closeTimeoutMs);
    await ended;
    clearTimeout(timer);
  };
  return { name, address, close, ended, pid: embedded.pid };
}

function startThread(entry: URL, argv: string[]): Embedded {
  const thread = new Worker(entry, { argv, execArgv: [] });
  return {
    onMessage: (receive) => thread.on("message", receive),
    onEnd: (ended) => {
      thread.on("error", (error) => ended(AmalgamError.from(error).message));
      thread.on("exit", (code) => ended(`its thread ended with code ${code}`));
    },
    send: (message) => thread.postMessage(message),
    kill: () => void thread.terminate(),
  };
}

function startProcess(entry: URL, argv: string[]): Embedded {
  const child = fork(fileURLToPath(entry), argv, { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
  return {
    ...(child.pid === undefined ? {} : { pid: child.pid }),
    onMessage: (receive) => child.on("message", receive),
    onEnd: (ended) => {
      child.on("error", (error) => ended(error.message));
      child.on("exit", (code, signal) => ended(`its process ended with ${signal ?? `code ${code}`}`));
    },
    // The channel may be closing already, which is what was wanted.
    send: (message) => child.connected && child.send(message, () => undefined),
    kill: () => void child.kill("SIGKILL"),
  };
}
