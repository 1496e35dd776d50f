import { AmalgamError } from "../../shared/errors.js";
import type { RecipeLayers } from "./layers/types.js";
import type { AnswerLoss } from "./losses/answer-loss.js";
import { Random } from "./search/random.js";
import type { SearchContext } from "./search/searching.js";
import type { TaskVectors } from "./task-vectors.js";
import type { Objective, ScoredTask, SweepSpec } from "./types.js";

interface ContextParts {
  readonly losses: readonly AnswerLoss[];
  /** Where the search asks for them. */
  readonly taskVectors: TaskVectors | undefined;
  readonly layers?: RecipeLayers | undefined;
  readonly note: (message: string) => void;
}

/** What the search of a sweep may know. Fails with `usage` where it cannot search this. */
export function searchContext(
  { space, objectives, parallel, tasks, seed, search, file }: SweepSpec,
  scored: readonly ScoredTask[],
  { losses, taskVectors, layers, note }: ContextParts,
): SearchContext {
  const named = objectives.find((objective) => objective.kind === "loss");
  const loss = losses.find(({ name }) => name === named?.loss);
  const names = scored.map(({ name }) => name);
  const context: SearchContext = {
    ...{ space, objectives: objectives.length, width: parallel, rungs: rungsOf(scored), experts: tasks.experts, note },
    objectiveTasks: objectives.map(({ of }) => (typeof of === "string" ? undefined : of.task)),
    taskWeights: weightsOf(objectives, names),
    ...(loss === undefined ? {} : { loss }),
    ...(taskVectors === undefined ? {} : { taskVectors }),
    ...(layers === undefined ? {} : { layers }),
    random: (stream) => new Random(seed, stream),
  };
  const refusal = search.kind.refuses?.(context, search.options);
  if (refusal === undefined) return context;
  throw new AmalgamError("usage", `${file}:${search.at.line}:${search.at.column}  ${refusal}`);
}

/**
 * How much each task counts in the weighted sum of the objectives. The worst of the tasks has no weights that are known
 * beforehand: it counts as their mean.
 */
function weightsOf(objectives: readonly Objective[], tasks: readonly string[]): ReadonlyMap<string, number> {
  const weightOf = (task: string): number =>
    objectives.reduce((sum, { of, weight }) => {
      if (typeof of === "string") return sum + weight / tasks.length;
      return of.task === task ? sum + weight : sum;
    }, 0);
  return new Map(tasks.map((task) => [task, weightOf(task)]));
}

/** Of tasks of several sizes, the largest: what rungs have to each other is what counts. */
function rungsOf(tasks: readonly ScoredTask[]): readonly number[] {
  const count = tasks[0]?.rungs.length ?? 0;
  return Array.from({ length: count }, (_, rung) => Math.max(...tasks.map(({ rungs }) => rungs[rung] ?? 0)));
}
