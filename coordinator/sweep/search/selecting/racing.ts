import { usableOf } from "../failures.js";
import { numberOption } from "../options.js";
import { compareOutcomes } from "../order.js";
import { evaluate, type Outcome, type SearchContext, type SearchKind } from "../searching.js";
import { proposalsOption, takeCandidates } from "./candidates.js";
import { type PairedDifference, pairedDifference } from "./paired-difference.js";

/** A candidate that was clearly worse than the best so far. */
interface Dropped extends PairedDifference {
  readonly trial: number;
  /** That it was compared with. */
  readonly incumbent: number;
  readonly rung: number;
}

export const racing: SearchKind = {
  name: "racing",
  summary:
    "Drops what is worse than the best by more than chance, on the same examples (Maron and Moore 1994; López-Ibáñez et al. 2016)",
  options: {
    candidates: { kind: "integer", default: 32, low: 2, high: 100_000 },
    /** Standard errors of the paired difference that a candidate may be behind; raised for many, see `thresholdFor()`. */
    errors: { kind: "number", default: 2, low: 0, high: 10 },
    proposals: proposalsOption,
  },
  rungs: true,
  refuses({ rungs }) {
    if (rungs.length > 1) return undefined;
    return "racing drops candidates between rungs, and this sweep has all examples in one: give tasks.rungs, such as [32, 64, 128]";
  },
  *search(context, options) {
    const errors = numberOption(options, "errors");
    const dropped: Dropped[] = [];
    const left: number[] = [];
    let survivors = takeCandidates(context, options, numberOption(options, "candidates"));
    let best: Outcome | undefined;
    for (const [rung] of context.rungs.entries()) {
      const label = `race, rung ${rung + 1}`;
      const all = yield* evaluate(survivors.map((point) => ({ point, rung, label })));
      const racers = usableOf(context, all, "left the race").toSorted(compareOutcomes);
      [best] = racers;
      const behind = new Map(best === undefined ? [] : clearlyWorse(context, best, racers.slice(1), errors));
      dropped.push(...behind.values());
      const kept = racers.filter((racer) => !behind.has(racer));
      left.push(kept.length);
      survivors = kept.map(({ point }) => point);
    }
    return { ...(best === undefined ? {} : { best: best.point }), facts: { dropped, leftAfterRung: left } };
  },
};

function clearlyWorse(
  context: SearchContext,
  incumbent: Outcome,
  others: readonly Outcome[],
  errors: number,
): (readonly [Outcome, Dropped])[] {
  const threshold = thresholdFor(errors, others.length);
  const worse = others.flatMap((racer) => {
    const paired = pairedDifference(incumbent, racer, context.taskWeights);
    if (paired === undefined || paired.difference <= threshold * paired.standardError) return [];
    return [[racer, { trial: racer.trial, incumbent: incumbent.trial, rung: racer.rung, ...paired }] as const];
  });
  const isKnown = (racer: Outcome): boolean => pairedDifference(incumbent, racer, context.taskWeights) !== undefined;
  if (others.length > 0 && !others.some(isKnown)) {
    context.note(`Rung ${incumbent.rung + 1} drops nobody: what is sought is no mean over examples`);
  }
  return worse;
}

/**
 * The best of many is partly so by luck, and the more it is compared with, the more often one of them is far behind by
 * chance. √(errors² + 2 ln m) keeps that chance over m comparisons where `errors` has it for one, by the Gaussian tail's
 * bound exp(−z²/2) and Bonferroni's inequality.
 */
export function thresholdFor(errors: number, comparisons: number): number {
  return Math.sqrt(errors ** 2 + 2 * Math.log(Math.max(1, comparisons)));
}
