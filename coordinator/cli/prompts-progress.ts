import type { JobEvent } from "../job.js";
import { formatSeconds } from "./duration.js";
import { percentOf, type ShownProgress } from "./progress-bar.js";

/** How far the base of a mixture of experts is through its prompts, for people. */
export class PromptsProgress {
  readonly #now: () => number;
  #startedMs: number | undefined;

  /** `now` in milliseconds, from any start. */
  constructor(now: () => number) {
    this.#now = now;
  }

  show({ done, doneBefore, prompts }: Extract<JobEvent, { type: "prompts" }>): ShownProgress {
    this.#startedMs ??= this.#now();
    const fresh = done - doneBefore;
    const secondsEach = (this.#now() - this.#startedMs) / 1000 / fresh;
    const eta = fresh === 0 ? [] : [`ETA ${formatSeconds((prompts - done) * secondsEach)}`];
    const text = [`${done}/${prompts} prompts`, ...eta].join("  ");
    return { phase: "running the base", percent: percentOf({ done, work: prompts }), text };
  }
}
