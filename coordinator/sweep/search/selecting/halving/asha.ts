import type { Point } from "../../../space.js";
import { usableOf } from "../../failures.js";
import { numberOption } from "../../options.js";
import { compareOutcomes } from "../../order.js";
import { type Outcome, type SearchKind, start, type TrialRequest, wait } from "../../searching.js";
import { candidates, proposalsOption } from "../candidates.js";
import { refusesOneRung } from "./bracket.js";

export const asha: SearchKind = {
  name: "asha",
  summary:
    "Successive halving that waits for nobody: a point goes on as soon as it is among the best third (Li et al. 2020)",
  options: {
    eta: { kind: "number", default: 3, low: 1.5, high: 100 },
    proposals: proposalsOption,
  },
  rungs: true,
  ends: false,
  refuses: (problem) => refusesOneRung(problem, "asha"),
  *search(context, options) {
    const ladder = new Ladder(context.rungs.length, numberOption(options, "eta"));
    const next = candidates(context, options);
    const pending: number[] = [];
    // Instead of a worker that is free it is the trial `width` places back that is in, so that the course is always the same.
    for (;;) {
      const request = ladder.promote() ?? toLowest(next());
      if (request !== undefined) pending.push(...(yield* start([request])));
      if (request !== undefined && pending.length < context.width) continue;
      const oldest = pending.shift();
      if (oldest === undefined) return undefined;
      const outcomes = yield* wait([oldest]);
      for (const outcome of usableOf(context, outcomes, "will not be promoted")) ladder.add(outcome);
    }
  },
};

function toLowest(point: Point | undefined): TrialRequest | undefined {
  return point && { point, rung: 0, label: "rung 1" };
}

/** What is in at each rung, and what of it has been promoted. */
class Ladder {
  readonly #rungs: readonly { readonly outcomes: Outcome[]; readonly promoted: Set<Outcome> }[];
  readonly #eta: number;

  constructor(rungs: number, eta: number) {
    this.#rungs = Array.from({ length: rungs }, () => ({ outcomes: [], promoted: new Set() }));
    this.#eta = eta;
  }

  add(outcome: Outcome): void {
    this.#rungs[outcome.rung]?.outcomes.push(outcome);
  }

  /** From the highest rung where one of the best 1/eta has not been promoted (algorithm 2, lines 12-18); else undefined. */
  promote(): TrialRequest | undefined {
    for (let rung = this.#rungs.length - 2; rung >= 0; rung -= 1) {
      const { outcomes = [], promoted } = this.#rungs[rung] ?? {};
      const best = outcomes.toSorted(compareOutcomes).slice(0, Math.floor(outcomes.length / this.#eta));
      const chosen = best.find((outcome) => promoted?.has(outcome) !== true);
      if (chosen === undefined) continue;
      promoted?.add(chosen);
      return { point: chosen.point, rung: rung + 1, label: `rung ${rung + 2}` };
    }
    return undefined;
  }
}
