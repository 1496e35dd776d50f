import { AmalgamError } from "../../../shared/errors.js";
import type {
  PieceReceipt,
  TrialFacts as TrialFactsMessage,
  TrialResult,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../../shared/quote.js";
import type { Agent } from "../../dispatch/agents.js";
import type { Dispatchable } from "../../dispatch/dispatchable.js";
import { readProgress } from "../../dispatch/progress.js";
import { UnitCheck } from "../../dispatch/unit-check.js";
import { Watchdog, type WatchdogOptions } from "../../dispatch/watchdog.js";
import type { BatchOutput } from "../../evaluate/types.js";
import { readResult } from "../../evaluate/wire.js";
import type { TrialRequest } from "./request.js";

/** What an accepted attempt brought. */
export interface TrialAnswer {
  /** By part that was asked for, then by batch. */
  readonly outputs: ReadonlyMap<number, ReadonlyMap<number, BatchOutput>>;
  /** By tensor of the plan: what the agent gathered for it. */
  readonly statistics: ReadonlyMap<number, readonly number[]>;
  readonly facts: TrialFactsMessage;
}

export interface TrialAttemptOptions extends WatchdogOptions {
  readonly onProgress?: (bytesRead: number, bytesWritten: number) => void;
  /** Called as batches are answered, with how many are. */
  readonly onBatch?: (done: number) => void;
}

/**
 * Runs one trial on one agent, which has its blobs, and checks all that it sends. Fails with the agent's error,
 * `chunk_corrupt`, `stalled`, `agent_lost`, or the signal's reason; in every case the agent has been told to stop.
 */
export async function runTrialAttempt(
  { client, label }: Pick<Agent, "client" | "label">,
  work: Dispatchable,
  request: TrialRequest,
  options: TrialAttemptOptions,
): Promise<TrialAnswer> {
  const { onProgress, onBatch } = options;
  const check = new TrialCheck(request, label);
  let [read, written] = [0, 0];
  using watchdog = new Watchdog(label, work, options);
  const events = client.try(request.message, { signal: watchdog.signal });
  try {
    for (;;) {
      const { value, done } = await watchdog.guard(() => events.next());
      if (done === true || value === undefined) break;
      const { event } = value;
      if (event.case === "progress") {
        const { bytesRead, bytesWritten } = readProgress(event.value, label);
        read += bytesRead;
        written += bytesWritten;
        onProgress?.(read, written);
      } else if (event.case === "receipt") check.receipt(event.value);
      else if (event.case === "result") onBatch?.(check.result(event.value));
      else if (event.case === "facts") check.facts(event.value);
    }
  } finally {
    // Stops the agent when a check has failed; without effect after the end.
    await events.return(undefined);
  }
  return check.finish();
}

/** One answer of those to the parts of a trial's request, in the order of asking. At least one. */
export function joinAnswers(answers: readonly TrialAnswer[]): TrialAnswer {
  const outputs = new Map<number, ReadonlyMap<number, BatchOutput>>();
  for (const [part, found] of answers.flatMap((answer) => [...answer.outputs])) {
    outputs.set(part, new Map([...(outputs.get(part) ?? []), ...found]));
  }
  const statistics = new Map(answers.flatMap((answer) => [...answer.statistics]));
  const [first, ...others] = answers.map(({ facts }) => facts);
  if (first === undefined) throw new RangeError("No answers to join");
  const facts = others.reduce(
    (all, one) => ({
      ...one,
      waitSeconds: all.waitSeconds + one.waitSeconds,
      readSeconds: all.readSeconds + one.readSeconds,
      mergeSeconds: all.mergeSeconds + one.mergeSeconds,
      loadSeconds: all.loadSeconds + one.loadSeconds,
      runSeconds: all.runSeconds + one.runSeconds,
      fetchedBytes: all.fetchedBytes + one.fetchedBytes,
      reused: all.reused,
    }),
    first,
  );
  return { outputs, statistics, facts };
}

/** Holds what an agent sends against what its trial must bring. */
class TrialCheck {
  readonly #request: TrialRequest;
  readonly #agent: string;
  readonly #pieces: UnitCheck;
  /** By task: outputs by batch. */
  readonly #outputs: readonly Map<number, BatchOutput>[];
  readonly #statistics = new Map<number, readonly number[]>();
  #receipts = 0;
  #batches = 0;
  #facts: TrialFactsMessage | undefined;

  constructor(request: TrialRequest, agent: string) {
    this.#request = request;
    this.#agent = agent;
    this.#pieces = new UnitCheck(request.unit, agent);
    this.#outputs = request.tasks.map(() => new Map());
  }

  receipt(receipt: PieceReceipt): void {
    this.#pieces.receipt(receipt);
    this.#receipts += 1;
    const { statistics } = receipt;
    if (statistics.length === 0) return;
    const { unit, pieces } = this.#request.unit;
    const [piece, expected] = [unit.pieces[receipt.piece], pieces[receipt.piece]];
    if (piece === undefined || expected === undefined) return;
    const { slots } = expected.schedule;
    if (statistics.length !== slots) {
      throw this.#corrupt(`${statistics.length} statistics of ${quote(expected.tensor)}, not ${slots}`);
    }
    this.#statistics.set(piece.tensor, statistics);
  }

  /** How many batches are answered by now. */
  result({ task, result }: TrialResult): number {
    const [expected, outputs] = [this.#request.tasks[task], this.#outputs[task]];
    const batch = expected?.batches.get(result?.batch ?? -1);
    if (expected === undefined || outputs === undefined || batch === undefined || result === undefined) {
      throw this.#corrupt(`batch ${result?.batch} of task ${task}, which was not asked for`);
    }
    if (outputs.has(batch.batch)) throw this.#corrupt(`batch ${batch.batch} of task ${task} twice`);
    outputs.set(batch.batch, readResult(result, expected.measure, batch, this.#agent));
    this.#batches += 1;
    return this.#batches;
  }

  facts(facts: TrialFactsMessage): void {
    this.#facts = facts;
  }

  /** The stream has ended well: is everything there? */
  finish(): TrialAnswer {
    const { tasks } = this.#request;
    const missing = tasks.reduce((total, { batches }) => total + batches.size, 0) - this.#batches;
    if (missing > 0) throw this.#corrupt(`an end with ${missing} batches missing`);
    const facts = this.#facts;
    if (facts === undefined) throw this.#corrupt("an end without what ran it");
    if (!facts.reused || this.#receipts > 0) this.#pieces.finish();
    const outputs = new Map<number, ReadonlyMap<number, BatchOutput>>();
    for (const [i, { part }] of tasks.entries()) {
      outputs.set(part, new Map([...(outputs.get(part) ?? []), ...(this.#outputs[i] ?? [])]));
    }
    return { outputs, statistics: this.#statistics, facts };
  }

  #corrupt(what: string): AmalgamError {
    const message = `Agent ${this.#agent} sent ${what} in its answer to trial ${this.#request.message.trial}`;
    return new AmalgamError("chunk_corrupt", message, { details: { agent: this.#agent } });
  }
}
