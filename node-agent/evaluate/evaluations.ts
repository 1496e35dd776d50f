import { AmalgamError } from "../../shared/errors.js";
import type { EvaluateRequest } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { atMost } from "../threads.js";
import { WaitingLine } from "../waiting-line.js";
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

/** What is done with the process when its turn has come. */
type Task = (process: ModelProcess, signal: AbortSignal) => Promise<void>;

/**
 * Runs slices of evaluations, one after the other, in a process of its own that starts with the first. Each has all cores
 * and the model's memory to itself. If the process dies its slice fails; the next one gets a new process.
 */
export class Evaluations {
  readonly #options: EvaluationsOptions;
  readonly #line = new WaitingLine<Task>(maxQueued, () => this.#next());
  #process: ModelProcess | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #isHeld = false;

  constructor(options: EvaluationsOptions) {
    this.#options = options;
  }

  /** Slices that run or wait. */
  get size(): number {
    return this.#line.size;
  }

  /** Of the process, while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Settles when the slice is done, failed, or canceled by the signal. The listener hears nothing after that. */
  run(request: EvaluateRequest, listener: SliceListener, signal: AbortSignal): Promise<void> {
    const task: Task = (process, signal) => process.run(request, listener, signal);
    return this.#line.join(task, signal, () => {
      return `Cannot queue slice ${request.unit} of an evaluation: ${maxQueued} slices wait already`;
    });
  }

  /** Gives `act` the process, which nobody else uses until it settles. `act` heeds the signal itself. */
  hold(act: (process: ModelProcess) => Promise<void>, signal: AbortSignal): Promise<void> {
    const task: Task = async (process) => {
      this.#isHeld = true;
      try {
        await act(process);
      } finally {
        this.#isHeld = false;
        // The slice that ended last has told when somebody else could not be given the process yet.
        queueMicrotask(() => this.#next());
      }
    };
    return this.#line.join(task, signal, () => `Cannot queue a trial: ${maxQueued} slices wait already`);
  }

  /** Settles when nothing runs or waits. */
  idle(): Promise<void> {
    return this.#line.idle();
  }

  /** Ends the process. Slices that run or wait fail with `reason`. */
  async close(reason: AmalgamError): Promise<void> {
    clearTimeout(this.#idleTimer);
    this.#line.close(reason);
    await atMost(endMs, this.#process?.end(reason) ?? Promise.resolve());
  }

  #next(): void {
    clearTimeout(this.#idleTimer);
    if (this.#line.isClosed || this.#isHeld) return;
    if (this.#line.isEmpty) {
      this.#idleTimer = setTimeout(() => this.#leave(), this.#options.idleMs ?? defaultIdleMs);
      this.#idleTimer.unref();
      return;
    }
    try {
      this.#process ??= this.#start();
    } catch (error) {
      // The system has none to give, as when memory is short. Whoever asks next may be luckier.
      this.#line.take()?.reject(AmalgamError.from(error));
      this.#next();
      return;
    }
    if (!this.#process.isIdle) return;
    const turn = this.#line.take();
    if (turn === undefined) return;
    turn.work(this.#process, turn.signal).then(turn.resolve, turn.reject);
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
