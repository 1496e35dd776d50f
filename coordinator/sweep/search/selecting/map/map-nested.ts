import { startPoint, valueAt } from "../../../space.js";
import { usableOf } from "../../failures.js";
import { numberOption } from "../../options.js";
import { isUsable } from "../../order.js";
import { evaluate, type Outcome, type SearchContext, type Searching, type SearchKind } from "../../searching.js";
import { confirmFront, type Domain, fitObjectives, type Measured, measure } from "./confirm.js";
import { design } from "./design.js";
import { mapOptions, settingsOf } from "./map-options.js";
import { type Branch, joined, leavesOf, planeOf, refusesTree } from "./merge-tree.js";
import { surrogateFront } from "./surrogate-front.js";

/** A branch and how well it does its own tasks: the mean of their losses, NaN where it was not to be had. */
interface Scored {
  readonly branch: Branch;
  readonly loss: number;
}

export const mapNested: SearchKind = {
  name: "map-nested",
  summary:
    "MAP by pairs of models, then pairs of merges, so that trials grow with their number (Li et al. 2024, nested MAP)",
  options: {
    /** Measured for every pair. */
    points: { kind: "integer", default: 20, low: 6, high: 100_000 },
    ...mapOptions,
  },
  front: true,
  refuses: (problem) => refusesTree(problem),
  *search(context, options) {
    const settings = settingsOf(options);
    const points = numberOption(options, "points");
    const pairs: unknown[] = [];
    let branches = yield* scoredLeaves(context);
    for (;;) {
      const pair = closest(branches);
      if (pair === undefined) return undefined;
      const [a, b] = [pair[0].branch, pair[1].branch];
      const label = `${a.name} with ${b.name}`;
      const domain = planeOf(context.space, [a, b]);
      const units = design(2, points, context.random(`map design ${label}`));
      const measured = yield* measure(context, domain, units, label);
      if (measured.length === 0) return undefined;
      if (branches.length === 2) {
        const result = yield* confirmFront(context, domain, measured, settings);
        return { ...result, facts: { pairs, last: [a.name, b.name], ...result.facts } };
      }
      const { scales, merge } = yield* bestMerge(context, [a, b], domain, measured, settings.link);
      pairs.push({ models: [a.name, b.name], scales, loss: Number.isNaN(merge.loss) ? null : merge.loss });
      branches = [...branches.filter((one) => !pair.includes(one)), merge];
    }
  },
};

/**
 * Two branches as one, at the scales that the surrogates of their tasks like best: all tasks are preferred equally, and of
 * a front that preference picks what has the least sum of all. It is measured, since it is paired by how good it is.
 */
function* bestMerge(
  context: SearchContext,
  pair: readonly [Branch, Branch],
  domain: Domain,
  measured: readonly Measured[],
  link: string,
): Searching<{ readonly scales: readonly number[]; readonly merge: Scored }> {
  const objectives = pair.flatMap((branch) => branch.objectives);
  const label = pair.map(({ name }) => name).join(" + ");
  const { predict } = fitObjectives(context.objectives, measured, link);
  const meanOfTasks = (unit: readonly number[]) => {
    const predicted = predict(unit);
    return { ...predicted, losses: [meanAt(predicted.losses, objectives)] };
  };
  const [best] = yield* surrogateFront(domain.space, meanOfTasks, (stream) => context.random(`${label} ${stream}`));
  const unit = best?.unit ?? [1, 1];
  const [confirmed] = yield* measure(context, domain, [unit], label);
  const scales = domain.space.map((scale, i) => Number(valueAt(scale, unit[i] ?? 0)));
  const loss = confirmed === undefined ? Number.NaN : meanAt(confirmed.outcome.losses, objectives);
  return { scales, merge: { branch: joined(context.space, pair, scales), loss } };
}

/** Every model, and how well it does its own tasks unmerged. */
function* scoredLeaves(context: SearchContext): Searching<readonly Scored[]> {
  const leaves = leavesOf(context);
  const outcomes = yield* evaluate(
    leaves.map(({ name }) => ({ point: startPoint(context.space), reference: name, label: `${name} unmerged` })),
  );
  usableOf(context, outcomes, "so their models are paired last");
  return leaves.map((branch, i) => ({ branch, loss: ownLoss(branch, outcomes[i]) }));
}

function ownLoss({ objectives }: Branch, outcome: Outcome | undefined): number {
  return outcome !== undefined && isUsable(outcome) ? meanAt(outcome.losses, objectives) : Number.NaN;
}

/** The two that do their own tasks most equally well; what could not be scored comes last. */
function closest(branches: readonly Scored[]): readonly [Scored, Scored] | undefined {
  const pairs = branches.flatMap((a, i) => branches.slice(i + 1).map((b) => [a, b] as const));
  const apart = ([a, b]: readonly [Scored, Scored]): number => {
    const difference = Math.abs(a.loss - b.loss);
    return Number.isNaN(difference) ? Number.MAX_VALUE : difference;
  };
  return pairs.toSorted((one, other) => apart(one) - apart(other))[0];
}

function meanAt(losses: readonly number[], objectives: readonly number[]): number {
  return objectives.reduce((sum, objective) => sum + (losses[objective] ?? Number.NaN), 0) / objectives.length;
}
