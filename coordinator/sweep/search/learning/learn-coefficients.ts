import type { AnswerLoss } from "../../losses/answer-loss.js";
import type { OptionValues, SearchContext, Searching, SearchResult } from "../searching.js";
import { answerGoal } from "./answer-goal.js";
import { boxOf, intoBox, pointAt } from "./box.js";
import type { AnswerDescent } from "./descent.js";
import { learn } from "./learn.js";
import { none, type Regulariser } from "./regulariser.js";
import { bestStart } from "./starts.js";

/**
 * Learns the numbers that stand in the recipe, in their own units and ranges, from what the model answers: task-wise or by
 * groups of layers, as the recipe has them. The loss is the sweep's; `fallback` is there for sweeps that have none.
 */
export function* learnCoefficients(
  context: SearchContext,
  options: OptionValues,
  { loss, start, regulariser = none }: { loss: AnswerLoss; start: Float64Array; regulariser?: Regulariser },
): Searching<SearchResult> {
  const { space, note } = context;
  const box = boxOf(space);
  const goal = answerGoal(context, context.loss ?? loss);
  const descent: AnswerDescent = {
    ...{ box, goal, regulariser, note },
    names: space.map(({ name }) => name),
    request: (x, label) => ({ point: pointAt(space, x), label }),
    loss: goal.value,
  };
  const first = yield* bestStart(context, options, descent, intoBox(box, start));
  const { x, loss: reached, course } = yield* learn(descent, first, options, context.random("spsa"));
  const facts = { loss: goal.loss.name, reached, coefficients: pointAt(space, x), course };
  return Number.isNaN(reached) ? { facts } : { best: pointAt(space, x), facts };
}
