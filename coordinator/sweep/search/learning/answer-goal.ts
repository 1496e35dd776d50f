import { quote } from "../../../../shared/quote.js";
import type { AnswerLoss, TaskAnswers } from "../../losses/answer-loss.js";
import type { Outcome, SearchContext } from "../searching.js";

/** The loss of what models answer, over all tasks. */
export interface AnswerGoal {
  readonly loss: AnswerLoss;
  /** Of a trial; NaN where it failed or answered nonsense. */
  value(outcome: Outcome): number;
  /** Each task that counts, with what a trial answered to it. Of trials with a value. */
  tasks(outcome: Outcome): readonly WeighedAnswers[];
}

export interface WeighedAnswers {
  readonly task: string;
  readonly weight: number;
  readonly answers: TaskAnswers;
}

/** Tasks count as the sweep's objective has them. One whose expert is needed and did not answer is left out, with a note. */
export function answerGoal(
  { taskWeights, note }: Pick<SearchContext, "taskWeights" | "note">,
  loss: AnswerLoss,
): AnswerGoal {
  const silent = new Set<string>();

  const tasks = (outcome: Outcome): readonly WeighedAnswers[] => {
    const all = [...(outcome.answers ?? [])];
    return all.flatMap(([task, answers]) => {
      const weight = taskWeights === undefined ? 1 / all.length : (taskWeights.get(task) ?? 0);
      if (weight === 0) return [];
      if (!loss.needsTeacher || answers.teacher !== undefined) return [{ task, weight, answers }];
      if (!silent.has(task)) note(`Task ${quote(task)} is left out: its expert's answers are not known`);
      silent.add(task);
      return [];
    });
  };

  const value = (outcome: Outcome): number => {
    if (outcome.failure !== undefined) return Number.NaN;
    const counted = tasks(outcome);
    if (counted.length === 0) return Number.NaN;
    return counted.reduce((sum, { weight, answers }) => sum + weight * loss.value(answers), 0);
  };
  return { loss, value, tasks };
}
