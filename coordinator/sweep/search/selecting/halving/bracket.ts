import type { Point } from "../../../space.js";
import { usableOf } from "../../failures.js";
import { compareOutcomes } from "../../order.js";
import { evaluate, type Outcome, type SearchContext, type Searching } from "../../searching.js";

/** What is said of sweeps whose trials are all on all examples. */
export function refusesOneRung({ rungs }: Pick<SearchContext, "rungs">, name: string): string | undefined {
  if (rungs.length > 1) return undefined;
  return `${name} begins with a part of the examples, and this sweep has all of them in one rung: give tasks.rungs, such as [32, 128]`;
}

/**
 * Successive halving from one rung to the last: all points are run there, the best 1/eta of them on the next rung, and so
 * on (Jamieson and Talwalkar 2016; Li et al. 2018, algorithm 1, lines 5-10). What failed goes on nowhere.
 */
export function* bracket(
  context: SearchContext,
  points: readonly Point[],
  { firstRung, eta, name }: { readonly firstRung: number; readonly eta: number; readonly name: string },
): Searching<readonly Outcome[]> {
  let survivors = points;
  let outcomes: readonly Outcome[] = [];
  for (let rung = firstRung; rung < context.rungs.length; rung += 1) {
    const label = `${name}, rung ${rung + 1}`;
    const all = yield* evaluate(survivors.map((point) => ({ point, rung, label })));
    outcomes = usableOf(context, all, `went no further than rung ${rung + 1}`).toSorted(compareOutcomes);
    const kept = Math.max(1, Math.floor(survivors.length / eta));
    survivors = outcomes.slice(0, kept).map(({ point }) => point);
  }
  return outcomes;
}
