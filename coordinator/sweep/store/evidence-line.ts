import { createHash } from "node:crypto";
import type { ExampleRecord } from "../../evaluate/types.js";
import type { TaskAnswers } from "../losses/answer-loss.js";
import type { Segment } from "../types.js";

// Lines of examples.jsonl and answers.jsonl. Numbers are little-endian in base64, so that they come back to the bit; what
// does not depend on the model (ids and right answers of the examples) is written once for all trials.

/** The examples of a segment, the same for every model. */
export interface ExamplesLine {
  /** Of ids and answers. */
  readonly set: string;
  readonly ids: readonly string[];
  readonly answers?: readonly unknown[];
}

/** What one model made of them. */
export interface ScoresLine {
  readonly segment: string;
  readonly task: string;
  readonly part: Segment["part"];
  /** The trial that they were run for; 0 for what was run after the search. */
  readonly trial: number;
  readonly set: string;
  /** By name: 64-bit floats, one for each example; NaN where an example has no such score. */
  readonly scores: Readonly<Record<string, string>>;
  readonly predictions?: readonly unknown[];
}

/** What it answered, where a loss is computed from answers. */
export interface AnswersLine {
  readonly segment: string;
  readonly width: number;
  readonly rowsPerExample?: number;
  /** 32-bit floats. */
  readonly values: string;
  /** 32-bit integers. */
  readonly classes?: string;
}

export function toLines(
  { key, task, part }: Segment,
  trial: number,
  records: readonly ExampleRecord[],
): { readonly examples: ExamplesLine; readonly scores: ScoresLine } {
  const known = { ids: records.map(({ id }) => id), ...columnOf("answers", records, ({ answer }) => answer) };
  const set = createHash("sha256").update(JSON.stringify(known)).digest("hex").slice(0, 32);
  const names = [...new Set(records.flatMap(({ scores }) => Object.keys(scores)))];
  const scores = Object.fromEntries(
    names.map((name) => [name, encode(Float64Array.from(records, (record) => record.scores[name] ?? Number.NaN))]),
  );
  const predictions = columnOf("predictions", records, ({ prediction }) => prediction);
  return { examples: { set, ...known }, scores: { segment: key, task, part, trial, set, scores, ...predictions } };
}

export function toRecords(
  { ids, answers }: ExamplesLine,
  { scores, predictions }: ScoresLine,
): readonly ExampleRecord[] {
  const columns = Object.entries(scores).map(([name, text]) => [name, new Float64Array(decode(text))] as const);
  return ids.map((id, i) => ({
    id,
    scores: Object.fromEntries(columns.map(([name, values]) => [name, values[i] ?? Number.NaN])),
    ...(predictions === undefined ? {} : { prediction: predictions[i] }),
    ...(answers === undefined ? {} : { answer: answers[i] }),
  }));
}

export function toAnswersLine(segment: string, { values, width, classes, rowsPerExample }: TaskAnswers): AnswersLine {
  return {
    ...{ segment, width },
    ...(rowsPerExample === undefined ? {} : { rowsPerExample }),
    values: encode(values),
    ...(classes === undefined ? {} : { classes: encode(classes) }),
  };
}

export function toAnswers({ width, rowsPerExample, values, classes }: AnswersLine): TaskAnswers {
  return {
    values: new Float32Array(decode(values)),
    width,
    ...(classes === undefined ? {} : { classes: new Int32Array(decode(classes)) }),
    ...(rowsPerExample === undefined ? {} : { rowsPerExample }),
  };
}

/** A column that no example has anything in is left out. */
function columnOf<Name extends string>(
  name: Name,
  records: readonly ExampleRecord[],
  fieldOf: (record: ExampleRecord) => unknown,
): { readonly [Key in Name]?: readonly unknown[] } {
  const values = records.map((record) => fieldOf(record) ?? null);
  return values.every((value) => value === null) ? {} : ({ [name]: values } as { readonly [Key in Name]: unknown[] });
}

function encode(values: Float64Array | Float32Array | Int32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
}

function decode(text: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(text, "base64")).buffer;
}
