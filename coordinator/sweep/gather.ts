import { notKept } from "./store/not-kept.js";
import type { SweepStore } from "./store/store.js";
import type { PlannedTrial, Segment, SegmentPart, TrialFacts, TrialRunner } from "./types.js";

/** What segments are run for. */
export interface GatherRequest {
  readonly planned: PlannedTrial;
  readonly segments: readonly Segment[];
  /** The trial that they count for; 0: for none, after the search. */
  readonly trial: number;
  readonly label: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (share: number) => void;
}

export interface Gathering {
  /** Examples that are run for it, now or in an earlier life of the sweep. */
  readonly fresh: number;
  /** Resolves when all segments are on record; fails with the reason of those that could not be run. */
  readonly complete: Promise<TrialFacts | undefined>;
}

/**
 * Has segments run that are not on record, and none twice: who wants one that is under way waits for it. Whose it is, is
 * decided at the call.
 */
export class Gatherer {
  readonly #runner: TrialRunner;
  readonly #store: SweepStore;
  /** What models answer is kept too. */
  readonly answers: boolean;
  readonly #underWay = new Map<string, Promise<unknown>>();

  constructor(runner: TrialRunner, store: SweepStore, answers: boolean) {
    this.#runner = runner;
    this.#store = store;
    this.answers = answers;
  }

  gather(request: GatherRequest): Gathering {
    const { segments, trial } = request;
    const wanted: Segment[] = [];
    const others: Promise<unknown>[] = [];
    let fresh = 0;
    for (const segment of segments) {
      const runFor = this.#store.runFor(segment);
      const underWay = this.#underWay.get(segment.key);
      if (runFor === undefined && underWay === undefined) wanted.push(segment);
      if (runFor === undefined && underWay !== undefined) others.push(underWay);
      if (runFor === trial || (runFor === undefined && underWay === undefined)) fresh += segment.examples;
    }
    const run = wanted.length === 0 ? Promise.resolve(undefined) : this.#run(request, wanted);
    for (const { key } of wanted) this.#underWay.set(key, run);
    const forget = (): void => {
      for (const { key } of wanted) this.#underWay.delete(key);
    };
    run.then(forget, forget);
    return { fresh, complete: Promise.all([run, ...others]).then(([facts]) => facts) };
  }

  async #run(
    { planned, trial, label, signal, onProgress }: GatherRequest,
    wanted: readonly Segment[],
  ): Promise<TrialFacts> {
    const options = { signal, answers: this.answers, label, ...(onProgress === undefined ? {} : { onProgress }) };
    const { segments, facts } = await this.#runner.run(planned, wanted, options);
    try {
      await Promise.all(
        segments.map(({ segment, records, answers }) => this.#store.addEvidence(segment, trial, records, answers)),
      );
    } catch (reason) {
      throw notKept(reason);
    }
    return facts;
  }
}

/** The segments of a trial up to a rung; or those that are held out. */
export function segmentsOf({ segments }: PlannedTrial, part: SegmentPart): readonly Segment[] {
  if (part === "held out") return segments.filter((segment) => segment.part === part);
  return segments.filter((segment) => segment.part !== "held out" && segment.part <= part);
}
