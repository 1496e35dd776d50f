import { setMaxListeners } from "node:events";
import { Worker } from "node:worker_threads";
import { AmalgamError } from "../shared/errors.js";
import { isRemote } from "../shared/remote/url.js";
import { type ArenaState, type FetchMessage, WindowWriter } from "./files/arena.js";
import type { PeerFiles, WantedRange } from "./files/peer-files.js";
import type { ServerFiles } from "./files/server-files.js";
import type { IoLimitState } from "./io-limit.js";
import { track } from "./threads.js";
import {
  controlCells,
  type FactorizeMessage,
  type RunMessage,
  type Work,
  type WorkerMessage,
  type WorkerSettings,
} from "./worker-protocol.js";

export type TaskEvent = Exclude<WorkerMessage, { type: "done" | "failed" | "arena" | "fetch" }>;

export interface TaskListener {
  /** The unit has left the queue. */
  readonly onStart?: () => void;
  /** `taken` says that the network has a chunk's bytes; until then the worker counts it against its limit. */
  readonly onEvent: (event: TaskEvent, taken: () => void) => void;
}

export interface PoolWorkerOptions {
  readonly memoryBytes: number;
  readonly roots: readonly string[];
  readonly ioLimit: IoLimitState | undefined;
  /** Reads from other agents what a unit cannot find here. */
  readonly peers: PeerFiles;
  /** Reads what is on servers. */
  readonly servers: ServerFiles;
  readonly cancelGraceMs: number;
  readonly heapMiB: number;
  readonly onIdle: () => void;
  readonly onExit: () => void;
}

interface RunningTask {
  readonly number: number;
  readonly work: Work;
  /** Ends what is still being fetched for it; its signal is the unit's alone. */
  readonly fetching: AbortController;
  readonly listener: TaskListener;
  readonly settle: (error?: AmalgamError) => void;
}

/** One worker thread, its control cells, and the unit that it runs. */
export class PoolWorker {
  readonly #thread: Worker;
  readonly #cells: Int32Array;
  readonly #options: PoolWorkerOptions;
  #task: RunningTask | undefined;
  #arena: ArenaState | undefined;
  #lastTask = 0;
  #deadline: NodeJS.Timeout | undefined;
  #isGone = false;

  constructor(entry: URL, options: PoolWorkerOptions) {
    const control = new SharedArrayBuffer(Object.keys(controlCells).length * Int32Array.BYTES_PER_ELEMENT);
    this.#cells = new Int32Array(control);
    Atomics.store(this.#cells, controlCells.cancel, -1);
    const { memoryBytes, roots, ioLimit } = options;
    const settings: WorkerSettings = { memoryBytes, roots, ioLimit, control };
    this.#options = options;
    this.#thread = new Worker(entry, {
      workerData: settings,
      argv: [],
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: options.heapMiB },
    });
    this.#thread.on("message", (message: WorkerMessage) => this.#receive(message));
    this.#thread.on("messageerror", (error) => this.#die(AmalgamError.from(error)));
    this.#thread.on("error", (error) => this.#die(workerError(error)));
    track(this.#thread);
    this.#thread.on("exit", (code) => {
      this.#die(new AmalgamError("internal", `A worker thread ended with code ${code}`));
      options.onExit();
    });
  }

  get isIdle(): boolean {
    return this.#task === undefined && !this.#isGone;
  }

  run(work: Work, listener: TaskListener, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      // Signed 32 bits, and never the −1 that means none.
      this.#lastTask = (this.#lastTask + 1) & 0x7fff_ffff;
      const number = this.#lastTask;
      const fetching = new AbortController();
      // Every window that is fetched listens.
      setMaxListeners(0, fetching.signal);
      const cancel = (): void => {
        reject(AmalgamError.from(signal.reason));
        this.#cancel(number);
      };
      this.#task = {
        number,
        work,
        fetching,
        // Nobody listens to a canceled unit, and its chunks count as taken: the worker must not wait for a dead call.
        listener: {
          onEvent: (event, taken) => {
            if (signal.aborted) taken();
            else listener.onEvent(event, taken);
          },
        },
        settle: (error) => {
          signal.removeEventListener("abort", cancel);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      Atomics.store(this.#cells, controlCells.cancel, -1);
      Atomics.store(this.#cells, controlCells.chunksInFlight, 0);
      signal.addEventListener("abort", cancel, { once: true });
      listener.onStart?.();
      this.#thread.postMessage({ ...work, task: number } satisfies RunMessage | FactorizeMessage);
    });
  }

  /** Resolves when the thread has ended, which one that waits inside the system may never do. */
  async terminate(reason: AmalgamError): Promise<void> {
    this.#die(reason);
    await this.#thread.terminate();
  }

  #receive(message: WorkerMessage): void {
    const task = this.#task;
    if (message.type === "arena") this.#arena = message.arena;
    if (task === undefined || message.type === "arena") return;
    if (message.type === "fetch") {
      void this.#fetch(task, message);
      return;
    }
    if (message.type === "done" || message.type === "failed") {
      this.#finish(message.type === "done" ? undefined : toError(message));
      return;
    }
    let isTaken = message.type !== "chunk";
    task.listener.onEvent(message, () => {
      if (isTaken || this.#task !== task) return;
      isTaken = true;
      Atomics.sub(this.#cells, controlCells.chunksInFlight, 1);
      Atomics.notify(this.#cells, controlCells.chunksInFlight);
    });
  }

  /** Never fails: the worker, which waits for the window, is told. */
  async #fetch({ work, fetching }: RunningTask, message: FetchMessage): Promise<void> {
    if (this.#arena === undefined) return;
    const window = new WindowWriter(this.#arena, message);
    const { source, offset, length } = message;
    const { signal } = fetching;
    try {
      const file = work.request.sources[source];
      if (file === undefined) throw new AmalgamError("internal", `Unit names source ${source}, which it does not have`);
      const { peers, servers } = this.#options;
      const deliver = (bytes: Uint8Array): void => window.append(bytes);
      const wanted = { file, offset, length };
      if (isRemote(file.path)) await servers.fetch({ ...wanted, job: jobOf(work) }, deliver, signal);
      else await peers.fetch({ ...wanted, ...leadershipOf(work) }, deliver, signal);
    } catch (reason) {
      // The window of a unit that is over may have become another one's.
      if (!signal.aborted) window.fail(AmalgamError.from(reason));
    }
  }

  #finish(error?: AmalgamError): void {
    const task = this.#task;
    task?.fetching.abort();
    clearTimeout(this.#deadline);
    this.#task = undefined;
    task?.settle(error);
    this.#options.onIdle();
  }

  #cancel(number: number): void {
    if (this.#task?.number !== number) return;
    this.#task.fetching.abort();
    Atomics.store(this.#cells, controlCells.cancel, number);
    // It may be waiting for the network to take chunks, which will not happen now.
    Atomics.store(this.#cells, controlCells.chunksInFlight, 0);
    Atomics.notify(this.#cells, controlCells.chunksInFlight);
    this.#deadline = setTimeout(() => void this.#thread.terminate(), this.#options.cancelGraceMs);
    this.#deadline.unref();
  }

  /** Whatever ended the thread, its unit fails once, with the first reason. */
  #die(error: AmalgamError): void {
    this.#isGone = true;
    clearTimeout(this.#deadline);
    const task = this.#task;
    task?.fetching.abort();
    this.#task = undefined;
    task?.settle(error);
  }
}

function leadershipOf(work: Work): Pick<WantedRange, "leadership"> {
  if (work.type === "run") return { leadership: { job: work.request.job, fence: work.request.fence } };
  const { leadership } = work.request;
  return leadership === undefined ? {} : { leadership };
}

function jobOf(work: Work): string {
  return work.type === "run" ? work.request.job : (work.request.leadership?.job ?? "");
}

function toError({ code, message, details }: Extract<WorkerMessage, { type: "failed" }>): AmalgamError {
  return new AmalgamError(code, message, { details });
}

function workerError(error: unknown): AmalgamError {
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ERR_WORKER_OUT_OF_MEMORY") {
    return new AmalgamError("out_of_memory", "A worker thread ran out of JavaScript memory and was ended", {
      cause: error,
    });
  }
  return AmalgamError.from(error);
}
