import { schedule } from "./passes.js";
import { nodeAt, type Program, reachable } from "./program.js";

/** What the statistics of a program follow from, besides its inputs' elements. */
export interface StatisticsNeeds {
  /** Slots of the parameters. */
  readonly parameters: ReadonlySet<number>;
  /** Random numbers are drawn for them, so they depend on the seed and the tensor's name. */
  readonly isRandom: boolean;
}

const known = new WeakMap<Program, StatisticsNeeds>();

/**
 * What must be the same for the statistics of one run of a program to hold in another: TIES (Yadav et al. 2023) trims by
 * density before it weighs, so its k-th magnitudes stay when only weights change.
 */
export function statisticsNeeds(program: Program): StatisticsNeeds {
  let needs = known.get(program);
  if (needs === undefined) {
    // A reduction's rank is one of its arguments, and so are scalars that earlier passes found.
    const reductions = schedule(program).statistics.flatMap(({ gathers }) => gathers.map(({ node }) => node));
    const nodes = reachable(program, reductions).map((id) => nodeAt(program, id));
    needs = {
      parameters: new Set(nodes.filter(({ op }) => op === "parameter").map(({ value }) => value)),
      isRandom: nodes.some(({ op }) => op === "uniform"),
    };
    known.set(program, needs);
  }
  return needs;
}
