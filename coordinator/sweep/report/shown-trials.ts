import { ranked } from "../rank.js";
import { frontOf } from "../search/pareto.js";
import type { ParameterValue, Space } from "../space.js";
import type { TrialRecord } from "../types.js";

/** Trials in a page at most. */
export const maxTrials = 10_000;

/** The trials of a page, in order: of more than fit, the best half of what fits and every so many of the others. */
export function shownTrials(trials: readonly TrialRecord[]): readonly TrialRecord[] {
  if (trials.length <= maxTrials) return trials;
  const best = new Set(ranked(trials).slice(0, maxTrials / 2));
  const others = trials.filter((trial) => !best.has(trial));
  const every = others.length / (maxTrials - best.size);
  const some = new Set(Array.from({ length: maxTrials - best.size }, (_, i) => others[Math.floor(i * every)]));
  return trials.filter((trial) => best.has(trial) || some.has(trial));
}

/** Places of the merges that no other one is better than in all objectives. Empty for one objective. */
export function frontPlaces(trials: readonly TrialRecord[], comparable: readonly boolean[]): readonly number[] {
  const judged = trials.flatMap(({ losses, violation }, which) =>
    comparable[which] === true && violation === 0 ? [{ losses, violation, which }] : [],
  );
  if ((judged[0]?.losses.length ?? 0) < 2) return [];
  return frontOf(judged).map(({ which }) => which);
}

/** What trials have varied, where the sweep file does not say any more. */
export function spaceOf(trials: readonly TrialRecord[]): Space {
  const values = new Map<string, Set<ParameterValue>>();
  for (const { point } of trials) {
    for (const [name, value] of Object.entries(point)) values.set(name, (values.get(name) ?? new Set()).add(value));
  }
  return [...values].map(([name, seen]) => {
    const numbers = [...seen].filter((value) => typeof value === "number");
    if (numbers.length < seen.size) return { kind: "choice", name, values: [...seen] };
    const [low, high] = [-1, 1].map(
      (sign) => sign * numbers.reduce((most, one) => Math.max(most, sign * one), Number.NEGATIVE_INFINITY),
    );
    return { kind: "range", name, low: low ?? 0, high: high ?? 1, scale: "linear" };
  });
}
