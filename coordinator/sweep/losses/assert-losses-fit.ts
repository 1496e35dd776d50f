import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote } from "../../../shared/quote.js";
import type { ScoredTask, SweepSpec } from "../types.js";
import type { AnswerLoss } from "./answer-loss.js";

/** Fails with `usage` where a loss would have more examples of a task to compare than it can. */
export function assertLossesFit(
  { objectives }: Pick<SweepSpec, "objectives">,
  tasks: readonly ScoredTask[],
  losses: readonly AnswerLoss[],
): void {
  for (const objective of objectives) {
    const loss = objective.kind === "loss" ? losses.find(({ name }) => name === objective.loss) : undefined;
    const most = loss?.maxExamples ?? Number.POSITIVE_INFINITY;
    const { of } = objective;
    for (const { name, rungs, heldOut } of tasks) {
      if (typeof of !== "string" && of.task !== name) continue;
      const examples = Math.max(rungs.at(-1) ?? 0, heldOut);
      if (loss === undefined || examples <= most) continue;
      const what = `Cannot compute the loss ${quote(loss.name)} of task ${quote(name)}`;
      const counts = `it has ${formatCount(examples)} examples, more than the limit of ${formatCount(most)}`;
      throw new AmalgamError("usage", `${what}: ${counts}; set "limit" under "tasks"`);
    }
  }
}
