import { hypervolume } from "../../../coordinator/sweep/search/hypervolume.js";
import { frontOf } from "../../../coordinator/sweep/search/pareto.js";
import { nsgaII } from "../../../coordinator/sweep/search/sampling/nsga-ii.js";
import { searches } from "../../../coordinator/sweep/search/searches.js";
import { runSearch, unitCube } from "../../../test/support/run-search.js";
import { zdt, zdtLosses } from "../../../test/support/search-functions.js";
import { frontGoal, type Goal } from "./functions.js";

/** Evaluations until a loss was at most the target; Infinity: none was. Undefined: there is no such search here. */
export function ourEvaluations(goal: Goal, search: string, seed: number): number | undefined {
  const [name, atOnce] = search.split(", ");
  const kind = searches.find((one) => one.name === name);
  if (kind === undefined) return undefined;
  const { outcomes } = runSearch(kind, {
    ...{ space: unitCube(goal.dimensions), seed, width: atOnce === undefined ? 1 : 8 },
    trials: goal.searches[search] ?? 0,
    judge: (_, unit) => goal.loss(unit),
  });
  const first = outcomes.findIndex(({ loss }) => loss <= goal.target);
  return first === -1 ? Number.POSITIVE_INFINITY : first + 1;
}

/** The same for the hypervolume of a front. */
export function ourFrontEvaluations(seed: number): number {
  const [[, second, whole]] = zdt;
  const { outcomes } = runSearch(nsgaII, {
    ...{ space: unitCube(frontGoal.dimensions), objectives: 2, seed, trials: frontGoal.evaluations },
    judge: (_, unit) => zdtLosses(second, unit),
  });
  for (let count = 40; count <= outcomes.length; count += 40) {
    const losses = frontOf(outcomes.slice(0, count)).map((outcome) => outcome.losses);
    if (hypervolume(losses, [1.1, 1.1]) >= frontGoal.target * whole) return count;
  }
  return Number.POSITIVE_INFINITY;
}
