import { setMaxListeners } from "node:events";
import { AmalgamError } from "../../shared/errors.js";
import type { KeepRequest, TryRequest } from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { Evaluations } from "../evaluate/evaluations.js";
import type { WorkerPool } from "../pool.js";
import { WaitingLine } from "../waiting-line.js";
import { Blobs } from "./blobs.js";
import { Ledger } from "./ledger.js";
import { limits } from "./limits.js";
import { ResidentInputs } from "./resident-inputs.js";
import { Scratch, type TrialPlace } from "./scratch.js";
import { runTrial, type TrialEvent, type TrialStores } from "./trial.js";
import type { TrialContext } from "./trial-context.js";
import { WaitSigns } from "./wait-signs.js";
import { KeptWeights } from "./weights.js";

export interface TrialsOptions {
  readonly pool: WorkerPool;
  readonly evaluations: Evaluations;
  readonly place: TrialPlace;
}

export interface TrialListener {
  /** The trial has left the queue. */
  readonly onStart?: () => void;
  /** `taken` says that the network has a result. */
  readonly onEvent: (event: TrialEvent, taken: () => void) => void;
}

interface Task {
  readonly request: TryRequest;
  readonly listener: TrialListener;
  /** When it was asked for, by `performance.now()`. */
  readonly askedAt: number;
}

/** One is merged while another is run. More would hold memory and win no time: models are run one after the other. */
const atOnce = 2;

/**
 * Runs trials of sweeps: merges them into files in memory and has the models run from there. Inputs, merged models and
 * what they are run on stay in memory, within one limit, until it is wanted for others.
 */
export class Trials {
  readonly #options: TrialsOptions;
  readonly #stores: TrialStores;
  readonly #scratch: Scratch;
  readonly #line = new WaitingLine<Task>(limits.queued, () => this.#next());
  readonly #closing = new AbortController();
  #running = 0;

  constructor(options: TrialsOptions) {
    const { folder, bytes } = options.place;
    const ledger = new Ledger(bytes);
    this.#options = options;
    this.#stores = {
      ledger,
      blobs: new Blobs(ledger),
      inputs: new ResidentInputs(ledger, options.pool.workers),
      kept: new KeptWeights(),
    };
    this.#scratch = new Scratch(folder);
  }

  /** What they may hold. */
  get memoryBytes(): number {
    return this.#stores.ledger.allowed;
  }

  /** Trials that run or wait. */
  get size(): number {
    return this.#line.size;
  }

  /**
   * Settles when the trial is done, failed, or canceled by the signal, and what it held is given back or kept for others.
   * The listener hears nothing after that.
   */
  run(request: TryRequest, listener: TrialListener, signal: AbortSignal): Promise<void> {
    return this.#line.join({ request, listener, askedAt: performance.now() }, signal, () => {
      return `Cannot queue trial ${request.trial}: ${limits.queued} trials wait already`;
    });
  }

  /** Takes blobs for trials to come. */
  keep({ blobs }: KeepRequest): void {
    this.#stores.blobs.keep(blobs);
  }

  /** Settles when nothing runs or waits. */
  idle(): Promise<void> {
    return this.#line.idle();
  }

  /** Trials that run or wait fail with `reason`. The memory is free when this settles. */
  async close(reason: AmalgamError): Promise<void> {
    this.#line.close(reason);
    this.#closing.abort(reason);
    await this.#line.idle();
    this.#scratch[Symbol.dispose]();
  }

  #next(): void {
    while (this.#running < atOnce) {
      const turn = this.#line.take();
      if (turn === undefined) return;
      this.#running += 1;
      const over = (): void => {
        this.#running -= 1;
        this.#next();
      };
      this.#run(turn.work, turn.signal).finally(over).then(turn.resolve, turn.reject);
    }
  }

  async #run({ request, listener, askedAt }: Task, canceled: AbortSignal): Promise<void> {
    const { pool, evaluations } = this.#options;
    const { job = "", fence = 0n } = request.leadership ?? {};
    const signal = AbortSignal.any([canceled, this.#closing.signal]);
    // One for each file of inputs that it waits for.
    setMaxListeners(0, signal);
    const emit: TrialListener["onEvent"] = (event, taken) => {
      if (signal.aborted) taken();
      else listener.onEvent(event, taken);
    };
    const progress: TrialContext["progress"] = (bytesRead, bytesWritten, ioSeconds) => {
      emit({ type: "progress", bytesRead, bytesWritten, ioSeconds }, () => undefined);
    };
    using signs = new WaitSigns(() => progress(0, 0, 0), (performance.now() - askedAt) / 1000);
    const { trial } = request;
    const scratch = this.#scratch;
    const context = { pool, evaluations, scratch, signal, job, fence, trial, signs, progress };
    listener.onStart?.();
    try {
      await runTrial({ request, stores: this.#stores, context, emit });
    } catch (error) {
      throw AmalgamError.from(signal.aborted ? signal.reason : error);
    }
  }
}
