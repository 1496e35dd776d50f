import type { Checkpoint } from "../../shared/checkpoint/open.js";
import type { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Placement } from "../dispatch/dispatchable.js";
import type { JobAgent } from "../job/job-agents.js";
import type { Slice } from "./slices.js";
import type { Subject } from "./subject.js";
import { TooSmall } from "./too-small.js";

/** An agent keeps the model that it has loaded, and runs only those whose files it sees. */
export class EvaluationPlacement implements Placement<Slice, JobAgent> {
  readonly #subjects: readonly Subject[];
  /** Where each model's files begin in the list of all. */
  readonly #firstSource: readonly number[];
  readonly #loaded = new Map<string, number>();
  readonly #tooSmall = new TooSmall();

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

  /** See {@link TooSmall.judge}. */
  judge(error: AmalgamError, { model }: Slice, agent: JobAgent, all: readonly JobAgent[]): AmalgamError {
    return this.#tooSmall.judge(error, String(model), agent, all);
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
