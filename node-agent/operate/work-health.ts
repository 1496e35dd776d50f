import type { WorkObserver, WorkWatch } from "./work-observer.js";

/** Failures in a row after which an agent is no use: one may be the unit's fault. */
const maxInRow = 3;

/** What says of an agent's workers that they do not work: a thread that ends, memory that is not there. */
const ownFailures: ReadonlySet<string> = new Set(["internal", "out_of_memory"]);

/** Knows from how work ends whether the agent's workers are well. */
export class WorkHealth implements WorkObserver {
  #inRow = 0;
  #last = "";

  /** Undefined: nothing is wrong with them. */
  get problem(): string | undefined {
    return this.#inRow < maxInRow ? undefined : `the last ${this.#inRow} units failed here: ${this.#last}`;
  }

  begin(): WorkWatch {
    return {
      started: () => undefined,
      observe: () => undefined,
      ended: (error) => {
        if (error === undefined) this.#inRow = 0;
        else if (ownFailures.has(error.code)) {
          this.#inRow += 1;
          this.#last = error.message;
        }
      },
    };
  }
}
