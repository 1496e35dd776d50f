import { AmalgamError } from "../../shared/errors.js";
import type { EvaluateRequest } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { atMost } from "../threads.js";
import { ModelProcess, type SliceListener } from "./model-process.js";
import type { ProcessSettings } from "./process/protocol.js";

export interface EvaluationsOptions {
  readonly settings: ProcessSettings;
  /** The process's module. @default process/main.js beside this one */
  readonly entry?: URL;
  /** How long the process keeps its models when nobody asks for any. @default 60 s */
  readonly idleMs?: number;
  /** See ModelProcessOptions. @default 10 s */
  readonly cancelGraceMs?: number;
}

const defaultIdleMs = 60_000;
const defaultCancelGraceMs = 10_000;
/** How long the process may take to end. */
const endMs = 2_000;
/** Slices that may wait; coordinators send a few ahead. */
const maxQueued = 256;

interface Task {
  readonly request: EvaluateRequest;
  readonly listener: SliceListener;
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (error: AmalgamError) => void;
}

/**
 * Runs slices of evaluations, one after the other, in a process of its own that starts with the first. Each has all cores
 * and the model's memory to itself. If the process dies its slice fails; the next one gets a new process.
 */
export class Evaluations {
  readonly #options: EvaluationsOptions;
  readonly #queue: Task[] = [];
  readonly #unfinished = new Set<Promise<void>>();
  #process: ModelProcess | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed: AmalgamError | undefined;

  constructor(options: EvaluationsOptions) {
    this.#options = options;
  }

  /** Slices that run or wait. */
  get size(): number {
    return this.#unfinished.size;
  }

  /** Of the process, while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Settles when the slice is done, failed, or canceled by the signal. The listener hears nothing after that. */
  run(request: EvaluateRequest, listener: SliceListener, signal: AbortSignal): Promise<void> {
    let forgetQueued = (): void => undefined;
    const promise = new Promise<void>((resolve, reject) => {
      if (this.#closed !== undefined) return reject(this.#closed);
      if (signal.aborted) return reject(AmalgamError.from(signal.reason));
      if (this.#queue.length >= maxQueued) {
        const problem = `${maxQueued} slices wait already`;
        return reject(new AmalgamError("stalled", `Cannot queue slice ${request.unit} of an evaluation: ${problem}`));
      }
      const task: Task = { request, listener, signal, resolve, reject };
      this.#queue.push(task);
      forgetQueued = () => this.#forget(task);
      signal.addEventListener("abort", forgetQueued, { once: true });
      this.#next();
    });
    this.#unfinished.add(promise);
    const settled = (): void => {
      signal.removeEventListener("abort", forgetQueued);
      this.#unfinished.delete(promise);
    };
    promise.then(settled, settled);
    return promise;
  }

  /** Settles when nothing runs or waits. */
  async idle(): Promise<void> {
    while (this.#unfinished.size > 0) await Promise.allSettled(this.#unfinished);
  }

  /** Ends the process. Slices that run or wait fail with `reason`. */
  async close(reason: AmalgamError): Promise<void> {
    this.#closed = reason;
    clearTimeout(this.#idleTimer);
    for (const task of this.#queue.splice(0)) task.reject(reason);
    await atMost(endMs, this.#process?.end(reason) ?? Promise.resolve());
  }

  /** A slice that still waits when it is canceled never starts. */
  #forget(task: Task): void {
    const place = this.#queue.indexOf(task);
    if (place < 0) return;
    this.#queue.splice(place, 1);
    task.reject(AmalgamError.from(task.signal.reason));
  }

  #next(): void {
    clearTimeout(this.#idleTimer);
    if (this.#closed !== undefined) return;
    if (this.#queue.length === 0) {
      this.#idleTimer = setTimeout(() => this.#leave(), this.#options.idleMs ?? defaultIdleMs);
      this.#idleTimer.unref();
      return;
    }
    try {
      this.#process ??= this.#start();
    } catch (error) {
      // The system has none to give, as when memory is short. Whoever asks next may be luckier.
      this.#queue.shift()?.reject(AmalgamError.from(error));
      this.#next();
      return;
    }
    if (!this.#process.isIdle) return;
    const task = this.#queue.shift();
    if (task !== undefined) {
      this.#process.run(task.request, task.listener, task.signal).then(task.resolve, task.reject);
    }
  }

  #start(): ModelProcess {
    const { settings, entry, cancelGraceMs } = this.#options;
    return new ModelProcess({
      settings,
      entry: entry ?? new URL("./process/main.js", import.meta.url),
      cancelGraceMs: cancelGraceMs ?? defaultCancelGraceMs,
      onIdle: () => this.#next(),
      onExit: () => {
        this.#process = undefined;
        this.#next();
      },
    });
  }

  /** Memory that nobody uses is for merges. */
  #leave(): void {
    if (this.#process?.isIdle === true) void this.#process.end(new AmalgamError("canceled", "Nobody evaluates"));
  }
}
