import { createHash } from "node:crypto";
import type { EvaluationJournal } from "./journal.js";
import type { BatchOutput, PreparedTask } from "./types.js";

/** What decides the answers besides weights, and how many there are. */
export type Answerable = Pick<PreparedTask, "digest" | "graphs" | "batches">;

/** The answers to one task on one model, as they come in from whoever gives them first. */
export class TaskOutputs {
  readonly #key: string;
  readonly #journal: EvaluationJournal | undefined;
  readonly #outputs: (BatchOutput | undefined)[];
  readonly #has: boolean[];
  #missing: number;
  /** Seconds that the model ran, over all agents. */
  seconds = 0;

  /** Finds in the journal what an earlier run has found out. `modelDigest`: {@link Subject.digest}. */
  constructor(modelDigest: string, prepared: Answerable, journal: EvaluationJournal | undefined) {
    this.#key = `${modelDigest}/${digestOf(prepared)}/${prepared.digest}`;
    this.#journal = journal;
    this.#outputs = prepared.batches.map((_, batch) => journal?.find(this.#key, batch));
    this.#has = this.#outputs.map((output) => output !== undefined);
    this.#missing = this.#has.filter((has) => !has).length;
  }

  get isComplete(): boolean {
    return this.#missing === 0;
  }

  has(batch: number): boolean {
    return this.#has[batch] === true;
  }

  /** The first answer to a batch counts; a later one, from an agent that was given up, is the same or wrong. */
  add(batch: number, output: BatchOutput, seconds: number): void {
    if (this.has(batch)) return;
    // First, so that an answer that cannot be kept does not count as one.
    this.#journal?.add(this.#key, batch, output);
    this.#outputs[batch] = output;
    this.#has[batch] = true;
    this.#missing -= 1;
    this.seconds += seconds;
  }

  /** All answers, in order, which are then forgotten here. Only when complete. */
  take(): readonly BatchOutput[] {
    return this.#outputs.splice(0).filter((output) => output !== undefined);
  }
}

/** Of the graphs that are run: they follow from config.json, or are the user's own. */
export function digestOf({ graphs: { graphs, decoderStart } }: Pick<Answerable, "graphs">): string {
  const hash = createHash("sha256").update(JSON.stringify(decoderStart ?? null));
  for (const [role, { model, bindings = [] }] of Object.entries(graphs)) {
    hash.update(JSON.stringify([role, model.length, bindings])).update(model);
  }
  return hash.digest("hex");
}
