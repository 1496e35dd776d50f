import type { ExampleRecord } from "../../evaluate/types.js";
import type { Segment } from "../types.js";
import type { ReportAgreement } from "./data.js";

/** A model in the picture, and what it made of the examples. */
export interface AskedModel {
  readonly name: string;
  /** Place of its trial. */
  readonly which?: number;
  readonly segments: readonly Segment[];
  /** One of those whose agreement with each other is shown. */
  readonly isTop: boolean;
}

/** An example, and how the models did on it. */
export interface AskedExample {
  readonly task: string;
  readonly id: string;
  readonly answer: string;
  /** By model; undefined where it was not asked. */
  readonly records: readonly (ExampleRecord | undefined)[];
  /** By model, larger is better in [0, 1]; undefined where there is none. */
  readonly scores: readonly (number | undefined)[];
  /** Mean score of the top models. */
  readonly right: number;
  /** Share of the pairs of top models that say the same. */
  readonly agree: number;
}

/** Examples in a picture at most; from more, ones at even distances between the hardest and the easiest are shown. */
const maxColumns = 240;

/** Characters of a prediction or an answer at most. */
const maxText = 60;

/** Examples of all models together, those that the top models do worst on first. `scoreOf`: a task's score by example. */
export function askedExamples(
  models: readonly AskedModel[],
  evidence: ReadonlyMap<string, readonly ExampleRecord[]>,
  scoreOf: (task: string, names: readonly string[]) => string | undefined,
): readonly AskedExample[] {
  const found = new Map<string, { task: string; id: string; records: (ExampleRecord | undefined)[] }>();
  for (const [m, { segments }] of models.entries()) {
    for (const { task, key } of segments) {
      for (const record of evidence.get(key) ?? []) {
        const place = JSON.stringify([task, record.id]);
        const example = found.get(place) ?? { task, id: record.id, records: models.map(() => undefined) };
        example.records[m] = record;
        found.set(place, example);
      }
    }
  }
  const isTop = models.map((model) => model.isTop);
  const examples = [...found.values()].map(({ task, id, records }): AskedExample => {
    const first = records.find((record) => record !== undefined);
    const score = scoreOf(task, Object.keys(first?.scores ?? {}));
    const scores = records.map((record) => inUnit(score === undefined ? undefined : record?.scores[score]));
    const top = scores.filter((value, m) => isTop[m] === true && value !== undefined);
    const right = top.reduce<number>((sum, value) => sum + (value ?? 0), 0) / top.length;
    const said = records.flatMap((record, m) => {
      const words = record === undefined || isTop[m] !== true ? undefined : wordsOf(record, scores[m]);
      return words === undefined ? [] : [words];
    });
    return { task, id, answer: shown(first?.answer), records, scores, right, agree: pairsThatAgree(said) };
  });
  return examples.toSorted((a, b) => ordered(a.right) - ordered(b.right) || ordered(a.agree) - ordered(b.agree));
}

/** The picture of some models, as the page's scripts want it. */
export function agreementOf(
  title: string,
  models: readonly AskedModel[],
  all: readonly AskedExample[],
): ReportAgreement | undefined {
  if (models.length === 0 || all.length === 0) return undefined;
  const examples = atEvenDistances(all, maxColumns);
  const words = new Map<string, number>();
  const wordOf = (text: string): number => {
    const known = words.get(text);
    if (known !== undefined) return known;
    words.set(text, words.size);
    return words.size - 1;
  };
  const cut =
    all.length > examples.length ? `${examples.length} of ${all.length} examples, evenly from the hardest on.` : "";
  const predictions = models.map((_, m) => examples.map(({ records }) => wordOf(shown(records[m]?.prediction))));
  return {
    title,
    rows: [
      { name: "top trials agree" },
      { name: "top trials right" },
      ...models.map(({ name, which }) => ({ name, ...(which === undefined ? {} : { which }) })),
    ],
    columns: examples.map(({ task, id, answer }) => ({ task, id: clip(id), answer })),
    scores: [
      examples.map(({ agree }) => rounded(agree)),
      examples.map(({ right }) => rounded(right)),
      ...models.map((_, m) => examples.map(({ scores }) => rounded(scores[m]))),
    ],
    predictions: [[], [], ...predictions],
    words: [...words.keys()],
    note: cut,
  };
}

/** What a model said, in a form that can be equal; of measurements, whether it was right. */
function wordsOf({ prediction }: ExampleRecord, score: number | undefined): string | undefined {
  const isMeasurement = typeof prediction === "number" && !Number.isInteger(prediction);
  if (prediction !== undefined && prediction !== null && !isMeasurement) return JSON.stringify(prediction);
  return score === undefined ? undefined : String(score > 0.5);
}

function pairsThatAgree(said: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const words of said) counts.set(words, (counts.get(words) ?? 0) + 1);
  const pairs = [...counts.values()].reduce((sum, count) => sum + count * (count - 1), 0);
  return pairs / (said.length * (said.length - 1));
}

/** Only scores that are shares say how well it was done whatever the task. */
function inUnit(score: number | undefined): number | undefined {
  return score !== undefined && score >= 0 && score <= 1 ? score : undefined;
}

/** What has no score comes last. */
function ordered(share: number): number {
  return Number.isNaN(share) ? 2 : share;
}

function atEvenDistances<Item>(items: readonly Item[], count: number): readonly Item[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as Item);
}

function rounded(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : Number(value.toFixed(3));
}

/** A prediction or an answer, for people. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return "";
  return clip(typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
}

function clip(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText)}…` : text;
}
