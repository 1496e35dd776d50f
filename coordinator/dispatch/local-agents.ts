import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { type EarlyAgents, type Embedded, type Embedding, startEmbedded } from "./embedded-agents.js";

export interface LocalAgentsOptions extends Embedding {
  /** The first of them, started before it was known what for. @default none, or none any more */
  readonly early?: EarlyAgents | undefined;
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

/**
 * Starts agents on this machine, on free loopback ports. They end with the returned object, and with this process
 * however it ends: a thread has no choice, and a child sees its channel close.
 */
export async function startLocalAgents(options: LocalAgentsOptions): Promise<LocalAgents> {
  const early = options.early?.take() ?? [];
  const embedded = [...early, ...startEmbedded({ ...options, count: options.count - early.length })];
  const started = embedded.map((one, i) => serve(one, options, `local-${i + 1}`));
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

function serve(embedded: Embedded, options: LocalAgentsOptions, name: string) {
  const { roots, slotsEach, memoryBytesEach, words = [] } = options;
  const settings = { slots: slotsEach, memory: memoryBytesEach, name };
  const argv = [
    ...roots.flatMap((root) => ["--root", root]),
    ...Object.entries(settings).flatMap(([option, value]) => [`--${option}`, String(value)]),
    ...words,
  ];
  embedded.send({ type: "serve", argv });
  let hasEnded = false;
  const ended = embedded.ended.finally(() => {
    hasEnded = true;
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
    void ended.then(fail);
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
