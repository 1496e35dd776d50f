import type { ExampleRecord, ModelResult } from "../types.js";
import { scoreName } from "./rebuild-metric.js";

/** An example that models did differently on. */
export interface Disagreement {
  readonly task: string;
  readonly id: string;
  readonly answer: unknown;
  readonly said: readonly {
    readonly model: string;
    readonly score: number | undefined;
    readonly prediction: unknown;
  }[];
}

/**
 * The examples on which the models' scores lie furthest apart: by the variance of the metric's score over the models, as
 * a share of the largest that the task's scores allow, then by how many different predictions there are, then by their
 * place, so that tasks take turns. Examples that all models did alike are left out, and tasks whose records have no score
 * of the metric's name.
 */
export function disagreements(models: readonly ModelResult[], count: number): readonly Disagreement[] {
  const examples = gather(models);
  const ranges = rangesOf(examples);
  const places = new Map<string, number>();
  return examples
    .map((example) => {
      const place = places.get(example.task) ?? 0;
      places.set(example.task, place + 1);
      return { example, place, spread: spreadOf(example, ranges.get(example.task) ?? 0), kinds: kindsOf(example) };
    })
    .filter(({ spread }) => spread > 0)
    .toSorted((a, b) => b.spread - a.spread || b.kinds - a.kinds || a.place - b.place)
    .slice(0, count)
    .map(({ example }) => example);
}

function gather(models: readonly ModelResult[]): readonly Disagreement[] {
  const examples = new Map<
    string,
    { task: string; id: string; answer: unknown; said: Disagreement["said"][number][] }
  >();
  for (const model of models) {
    for (const result of model.tasks) {
      const { task, records } = result;
      const score = scoreName(result);
      for (const record of records) {
        const key = JSON.stringify([task, record.id]);
        const example = examples.get(key) ?? { task, id: record.id, answer: record.answer, said: [] };
        example.said.push(wordOf(model.name, record, score));
        examples.set(key, example);
      }
    }
  }
  return [...examples.values()];
}

function wordOf(model: string, { scores, prediction }: ExampleRecord, score: string): Disagreement["said"][number] {
  return { model, score: scores[score], prediction };
}

function scoresOf({ said }: Disagreement): readonly number[] {
  return said.flatMap(({ score }) => (score !== undefined && Number.isFinite(score) ? [score] : []));
}

/** Largest minus smallest score of each task. */
function rangesOf(examples: readonly Disagreement[]): ReadonlyMap<string, number> {
  const bounds = new Map<string, { low: number; high: number }>();
  for (const example of examples) {
    const bound = bounds.get(example.task) ?? { low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY };
    for (const score of scoresOf(example)) {
      bound.low = Math.min(bound.low, score);
      bound.high = Math.max(bound.high, score);
    }
    bounds.set(example.task, bound);
  }
  return new Map([...bounds].map(([task, { low, high }]) => [task, high - low]));
}

/** 1 when half of the models have the task's best score and half its worst, 0 when all have the same. */
function spreadOf(example: Disagreement, range: number): number {
  const scores = scoresOf(example);
  if (scores.length < 2 || !(range > 0)) return 0;
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length;
  return variance / (range / 2) ** 2;
}

function kindsOf({ said }: Disagreement): number {
  return new Set(said.map(({ prediction }) => JSON.stringify(prediction))).size;
}
