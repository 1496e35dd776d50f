import type { Checkpoint } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Placement } from "../dispatch/dispatchable.js";
import type { JobAgent } from "../job/job-agents.js";
import type { Slice } from "./slices.js";
import type { Subject } from "./subject.js";

/** An agent keeps the model that it has loaded, and runs only those whose files it sees. */
export class EvaluationPlacement implements Placement<Slice, JobAgent> {
  readonly #subjects: readonly Subject[];
  /** Where each model's files begin in the list of all. */
  readonly #firstSource: readonly number[];
  readonly #loaded = new Map<string, number>();
  /** Agents that have too little memory for a model, by model and address. */
  readonly #tooSmall = new Set<string>();

  constructor(subjects: readonly Subject[]) {
    this.#subjects = subjects;
    let first = 0;
    this.#firstSource = subjects.map(({ sources }) => {
      first += sources.length;
      return first - sources.length;
    });
  }

  /** The agent is about to run the slice. */
  loads({ address }: JobAgent, { model }: Slice): void {
    this.#loaded.set(address, model);
  }

  /**
   * What a failure is to the whole: an agent's word that a model needs more memory than it may use will not change, so it
   * is another agent's turn; when all that are ready have said so, no other attempt helps.
   */
  judge(error: AmalgamError, { model }: Slice, agent: JobAgent, all: readonly JobAgent[]): AmalgamError {
    if (error.code !== "out_of_memory" || error.details["needed"] === undefined) return error;
    this.#tooSmall.add(`${model} ${agent.address}`);
    const others = all.filter(({ state, address }) => state === "ready" && !this.#tooSmall.has(`${model} ${address}`));
    return others.length > 0 ? error : new AmalgamError("usage", error.message, { details: error.details });
  }

  refuses(slice: Slice, { sight, description }: JobAgent): string | undefined {
    if (description?.providers.length === 0) return "it runs no models (--no-eval)";
    const first = this.#firstSource[slice.model] ?? 0;
    const unseen = this.#checkpoint(slice).files.find((_, i) => sight !== undefined && !sight.has(first + i));
    return unseen === undefined ? undefined : `it cannot read ${quote(unseen.path)}, or has another file there`;
  }

  remoteBytes(slice: Slice, { address }: JobAgent): number {
    if (this.#loaded.get(address) === slice.model) return 0;
    return this.#checkpoint(slice).files.reduce((total, { bytes }) => total + bytes, 0);
  }

  #checkpoint({ model }: Slice): Checkpoint {
    const subject = this.#subjects[model];
    if (subject === undefined) throw new RangeError(`No model ${model}`);
    return subject.checkpoint;
  }
}
