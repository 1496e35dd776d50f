import type { ExampleRecord, ModelResult, TaskResult } from "../types.js";
import { scoreName } from "./rebuild-metric.js";

/** On how many of the examples that both models answered they say the same. */
export interface Agreement {
  readonly same: number;
  readonly examples: number;
}

/** Of each pair of models, over all tasks where "the same" means something: see {@link answerOf}. */
export function agreementMatrix(models: readonly ModelResult[]): readonly (readonly Agreement[])[] {
  const examples = new Numbers();
  const texts = new Numbers();
  const answers = models.map((model) => answersOf(model, examples, texts));
  return answers.map((a) => answers.map((b) => agreementOf(a, b)));
}

function agreementOf(a: readonly number[], b: readonly number[]): Agreement {
  let [same, examples] = [0, 0];
  for (const [example, answer] of a.entries()) {
    const other = b[example];
    if (answer === noAnswer || other === undefined || other === noAnswer) continue;
    examples += 1;
    if (answer === other) same += 1;
  }
  return { same, examples };
}

/** Texts by number: there are many pairs of models, and numbers are compared sooner. */
class Numbers {
  readonly #numbers = new Map<string, number>();

  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const next = this.#numbers.size;
    this.#numbers.set(text, next);
    return next;
  }
}

const noAnswer = -1;

/** The number of a model's answer, at the number of its example. */
function answersOf({ tasks }: ModelResult, examples: Numbers, texts: Numbers): readonly number[] {
  const answers: number[] = [];
  for (const result of tasks) {
    for (const record of result.records) {
      const answer = answerOf(record, result);
      if (answer === undefined) continue;
      const example = examples.of(JSON.stringify([result.task, record.id]));
      while (answers.length < example) answers.push(noAnswer);
      answers[example] = texts.of(answer);
    }
  }
  return answers;
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
