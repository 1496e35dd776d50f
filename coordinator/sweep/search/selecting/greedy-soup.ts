import { quoteList } from "../../../../shared/quote.js";
import type { Point, Space } from "../../space.js";
import { usableOf } from "../failures.js";
import { compareOutcomes } from "../order.js";
import { evaluate, type SearchKind } from "../searching.js";

/** A model that was added to the soup so far, and what the loss became with it; null: its trial failed. */
interface Tasting {
  readonly model: string;
  readonly accepted: boolean;
  readonly loss: number | null;
}

export const greedySoup: SearchKind = {
  name: "greedy-soup",
  summary:
    "Adds models to an average, the best by itself first, where it gets no worse (Wortsman et al. 2022, recipe 1)",
  options: {},
  refuses({ space }) {
    const others = space.filter((dimension) => dimension.kind !== "choice" || dimension.values.length !== 2);
    if (others.length === 0) return undefined;
    const what = quoteList(others.map(({ name }) => name));
    return `greedy-soup puts each model in or leaves it out, and ${what} ${others.length === 1 ? "is" : "are"} something else: write {choices: [0, 1]} for the weight of each model, first left out, then in`;
  },
  *search(context) {
    const { space } = context;
    const singles = yield* evaluate(
      space.map(({ name }) => ({ point: soupOf(space, new Set([name])), label: `${name} alone` })),
    );
    const ingredients = new Map(singles.map(({ trial }, i) => [trial, space[i]?.name ?? ""]));
    const nameOf = (trial: number) => ingredients.get(trial) ?? "";
    const [best, ...rest] = usableOf(context, singles, "were left out of the soup").toSorted(compareOutcomes);
    if (best === undefined) return undefined;

    let soup = best;
    let accepted: ReadonlySet<string> = new Set([nameOf(best.trial)]);
    const course: Tasting[] = [{ model: nameOf(best.trial), accepted: true, loss: best.loss }];
    for (const single of rest) {
      const model = nameOf(single.trial);
      const larger = new Set([...accepted, model]);
      const tried = yield* evaluate([{ point: soupOf(space, larger), label: `${larger.size} models, with ${model}` }]);
      const [outcome] = usableOf(context, tried, `so ${model} was left out of the soup`);
      // Recipe 1: if ValAcc(average(ingredients ∪ {θ})) ≥ ValAcc(average(ingredients)).
      const isAccepted = outcome !== undefined && compareOutcomes(outcome, soup) <= 0;
      if (isAccepted) [soup, accepted] = [outcome, larger];
      course.push({ model, accepted: isAccepted, loss: outcome?.loss ?? null });
    }
    const order = course.map(({ model }) => model);
    return { best: soup.point, facts: { order, accepted: [...accepted], course } };
  },
};

/** These dimensions have their second value, "in", the others their first. */
function soupOf(space: Space, ingredients: ReadonlySet<string>): Point {
  return Object.fromEntries(
    space.map((dimension) => {
      const [left = 0, taken = 1] = dimension.kind === "choice" ? dimension.values : [];
      return [dimension.name, ingredients.has(dimension.name) ? taken : left];
    }),
  );
}
