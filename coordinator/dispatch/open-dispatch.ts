import { keepAlive } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { DispatchAgent, Dispatchable } from "./dispatchable.js";
import { Dispatcher, type DispatchOptions } from "./dispatcher.js";

interface Waiting<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: AmalgamError) => void;
}

/**
 * Runs units that are added while others run, on agents that come and go: {@link dispatch} without an end. Each unit
 * succeeds or fails by itself. When there is no agent left and none to wait for, all fail, later ones too.
 */
export class OpenDispatch<Work extends Dispatchable, Result, A extends DispatchAgent> implements AsyncDisposable {
  readonly #dispatcher: Dispatcher<Work, Result, A>;
  readonly #waiting = new Map<number, Waiting<Result>>();
  #ended: AmalgamError | undefined;

  /** Units start in the order in which they are added. */
  constructor(options: Omit<DispatchOptions<Work, Result, A>, "order">) {
    this.#dispatcher = new Dispatcher(
      [],
      { ...options, order: "given" },
      {
        succeeded: (unit, result) => this.#take(unit)?.resolve(result),
        failed: (unit, error) => this.#take(unit)?.reject(error),
        ended: (error) => {
          this.#ended = error;
          for (const unit of [...this.#waiting.keys()]) this.#take(unit)?.reject(error);
        },
      },
    );
  }

  /** Fails with the error that no other attempt at the unit helps against, or with the signal's reason. */
  async run(unit: Work, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    using _ = keepAlive();
    const number = this.#dispatcher.add(unit);
    const abort = (): void => {
      if (this.#waiting.has(number)) this.#dispatcher.giveUp(number, AmalgamError.from(signal?.reason));
    };
    try {
      return await new Promise<Result>((resolve, reject) => {
        this.#waiting.set(number, { resolve, reject });
        signal?.addEventListener("abort", abort, { once: true });
        this.#dispatcher.go();
      });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Ends all that runs and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= new AmalgamError("canceled", "The runner of trials has been closed");
    const ended = this.#ended;
    for (const unit of [...this.#waiting.keys()]) this.#take(unit)?.reject(ended);
    await this.#dispatcher.stop();
  }

  #take(unit: number): Waiting<Result> | undefined {
    const waiting = this.#waiting.get(unit);
    this.#waiting.delete(unit);
    return waiting;
  }
}
