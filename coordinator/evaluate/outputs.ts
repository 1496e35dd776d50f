import type { EvaluationJournal } from "./journal.js";
import type { BatchOutput, PreparedTask } from "./types.js";

/** The answers to one task on one model, as they come in from whoever gives them first. */
export class TaskOutputs {
  readonly #key: string;
  readonly #journal: EvaluationJournal | undefined;
  readonly #outputs: (BatchOutput | undefined)[];
  #missing: number;
  /** Seconds that the model ran, over all agents. */
  seconds = 0;

  /** Finds in the journal what an earlier run has found out. `modelDigest`: {@link Subject.digest}. */
  constructor(modelDigest: string, prepared: PreparedTask, journal: EvaluationJournal | undefined) {
    this.#key = `${modelDigest}/${prepared.digest}`;
    this.#journal = journal;
    this.#outputs = prepared.batches.map((_, batch) => journal?.find(this.#key, batch));
    this.#missing = this.#outputs.filter((output) => output === undefined).length;
  }

  get isComplete(): boolean {
    return this.#missing === 0;
  }

  has(batch: number): boolean {
    return this.#outputs[batch] !== undefined;
  }

  /** The first answer to a batch counts; a later one, from an agent that was given up, is the same or wrong. */
  add(batch: number, output: BatchOutput, seconds: number): void {
    if (this.has(batch)) return;
    this.#outputs[batch] = output;
    this.#missing -= 1;
    this.seconds += seconds;
    this.#journal?.add(this.#key, batch, output);
  }

  /** All answers, in order, which are then forgotten here. Only when complete. */
  take(): readonly BatchOutput[] {
    return this.#outputs.splice(0).filter((output) => output !== undefined);
  }
}
