import type { ExampleRecord, ModelResult, TaskResult } from "../types.js";
import { scoreName } from "./rebuild-metric.js";

/** On how many of the examples that both models answered they say the same. */
export interface Agreement {
  readonly same: number;
  readonly examples: number;
}

/** Of each pair of models, over all tasks where "the same" means something: see {@link answerOf}. */
export function agreementMatrix(models: readonly ModelResult[]): readonly (readonly Agreement[])[] {
  const answers = models.map(answersOf);
  return answers.map((a) =>
    answers.map((b) => {
      const shared = [...a].filter(([example]) => b.has(example));
      return { same: shared.filter(([example, answer]) => b.get(example) === answer).length, examples: shared.length };
    }),
  );
}

function answersOf({ tasks }: ModelResult): ReadonlyMap<string, string> {
  return new Map(
    tasks.flatMap((result) =>
      result.records.flatMap((record) => {
        const answer = answerOf(record, result);
        return answer === undefined ? [] : [[JSON.stringify([result.task, record.id]), answer] as const];
      }),
    ),
  );
}

/**
 * What a model said, in a form that can be equal: its prediction, unless that is a measurement (a number that is not
 * whole), else whether it was right. Undefined where there is neither.
 */
function answerOf({ prediction, scores }: ExampleRecord, result: TaskResult): string | undefined {
  const isMeasurement = typeof prediction === "number" && !Number.isInteger(prediction);
  if (prediction !== undefined && prediction !== null && !isMeasurement) return JSON.stringify(prediction);
  const score = scores[scoreName(result)];
  return score === 0 || score === 1 ? String(score) : undefined;
}
