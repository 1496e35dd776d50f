import { setImmediate } from "node:timers/promises";
import type { Outcome, Searching, SearchResult, StepAnswer, TrialRequest } from "./search/searching.js";

/** What a search is driven by. */
export interface DrivePorts {
  /** Why no new trial may begin; undefined while one may. Trials on record always may. */
  refuses(trial: number): string | undefined;
  /**
   * Returns when the trial is under way, so that what it begins does not depend on who is done first. `recorded` resolves
   * when what became of it is on record, and fails only with what ends the sweep.
   */
  begin(trial: number, request: TrialRequest): Promise<{ readonly recorded: Promise<void> }>;
  /** What the search is told of a trial on record. */
  outcome(trial: number): Promise<Outcome>;
  /** Trials that may be under way at once; further ones wait, which a search does not notice. */
  readonly atOnce: number;
  /** Something ends the sweep: what is under way is to end soon. */
  abort(reason: unknown): void;
}

/** How far a search came. */
export interface Course {
  /** Trials that it has begun. */
  readonly trials: number;
  /** Why it was ended; undefined: it has ended by itself. */
  readonly ended?: string;
  readonly result?: SearchResult | undefined;
}

/**
 * Lets a search run. Numbers, the order of beginnings and what it is told follow from the search and the record alone,
 * whatever is done first. When the budget is used up, trials that are under way are finished.
 */
export async function drive(search: Searching<SearchResult | undefined>, ports: DrivePorts): Promise<Course> {
  const underWay = new UnderWay(ports);
  let trials = 0;
  const begin = async (requests: readonly TrialRequest[]): Promise<readonly number[] | { readonly ended: string }> => {
    const numbers: number[] = [];
    for (const request of requests) {
      await underWay.room();
      const ended = ports.refuses(trials + 1);
      if (ended !== undefined) return { ended };
      trials += 1;
      numbers.push(trials);
      await underWay.begin(trials, request);
    }
    return numbers;
  };
  try {
    let step = search.next();
    while (step.done !== true) {
      const { value } = step;
      const answer = value.kind === "start" ? await begin(value.requests) : await underWay.outcomes(value.trials);
      if ("ended" in answer) {
        search.return(undefined);
        await underWay.all();
        return { trials, ended: answer.ended };
      }
      // What a search computes in one go may take a second, and agents are to be heard in between.
      await setImmediate();
      step = search.next(answer satisfies StepAnswer);
    }
    await underWay.all();
    return { trials, result: step.value };
  } catch (reason) {
    ports.abort(reason);
    search.return(undefined);
    await underWay.settled();
    throw reason;
  }
}

/** Trials that were begun, and the first thing that ends the sweep. */
class UnderWay {
  readonly #ports: DrivePorts;
  readonly #trials = new Map<number, Promise<void>>();
  #failure: { readonly reason: unknown } | undefined;

  constructor(ports: DrivePorts) {
    this.#ports = ports;
  }

  async room(): Promise<void> {
    while (this.#trials.size >= this.#ports.atOnce) await Promise.race(this.#trials.values());
    this.#throwFailure();
  }

  async begin(trial: number, request: TrialRequest): Promise<void> {
    const { recorded } = await this.#ports.begin(trial, request);
    const over = recorded
      .catch((reason: unknown) => {
        this.#failure ??= { reason };
        this.#ports.abort(reason);
      })
      .finally(() => this.#trials.delete(trial));
    this.#trials.set(trial, over);
  }

  async outcomes(trials: readonly number[]): Promise<readonly Outcome[]> {
    await Promise.all(trials.map((trial) => this.#trials.get(trial)));
    this.#throwFailure();
    return Promise.all(trials.map((trial) => this.#ports.outcome(trial)));
  }

  async all(): Promise<void> {
    await this.settled();
    this.#throwFailure();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#trials.values());
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }
}
