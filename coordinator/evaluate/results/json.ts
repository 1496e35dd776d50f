import { z } from "zod";
import { encodeNumber } from "../../assemble/journal-records.js";
import { anyNumber } from "../../assemble/parse-record.js";
import type { EvaluationResult, ModelResult, TaskKind, TaskResult } from "../types.js";
import { summarize } from "./summary.js";

/** Version of the files' format. Files of another version are refused, never guessed at. */
export const resultsVersion = 1;

const kinds = [
  "classification",
  "multiple_choice",
  "perplexity",
  "generation",
  "similarity",
  "retrieval",
  "multi_label",
  "custom",
] as const satisfies readonly TaskKind[];

const count = z.int().nonnegative();
const estimate = z.object({
  value: anyNumber,
  low: anyNumber,
  high: anyNumber,
  dropped: count.optional(),
  higherIsBetter: z.boolean(),
});

/** `MetricSettings` of coordinator/evaluate/kinds/context.ts. */
const metricSettings = z.strictObject({
  at: count.optional(),
  threshold: z.number().optional(),
  scores: z.record(z.string(), z.enum(["higher", "lower"])).optional(),
});

const task = z.object({
  task: z.string(),
  kind: z.enum(kinds),
  metric: z.string(),
  metrics: z.record(z.string(), estimate),
  /** How many records of records.jsonl are of this model and task. */
  records: count,
  digest: z.string(),
  expert: z.string().optional(),
  settings: metricSettings.optional(),
});

const model = z.object({
  name: z.string(),
  checkpoint: z.string(),
  role: z.enum(["base", "expert", "model"]),
  family: z.string(),
  tasks: z.array(task),
  providers: z.array(z.object({ agent: z.string(), provider: z.string(), fallback: z.string() })),
  seconds: z.number(),
});

/** What results.json may hold. */
export const resultsSchema = z.object({
  format: z.literal("amalgam-results"),
  version: z.literal(resultsVersion),
  madeWith: z.string(),
  taskFile: z.string(),
  threads: z.number().optional(),
  models: z.array(model),
  /** For people and scripts; it follows from the models, so it is not read back. */
  summary: z.unknown(),
});

export type ResultsFile = z.infer<typeof resultsSchema>;

/** A line of records.jsonl. */
export const recordSchema = z.strictObject({
  model: z.string(),
  task: z.string(),
  id: z.string(),
  scores: z.record(z.string(), anyNumber),
  prediction: z.unknown().optional(),
  answer: z.unknown().optional(),
});

/** The text of results.json. Numbers that JSON cannot hold are the words "NaN", "Infinity" and "-Infinity". */
export function formatResults(result: EvaluationResult): string {
  const { version: madeWith, taskFile, threads } = result;
  const models = result.models.map((each) => ({ ...each, tasks: each.tasks.map(withoutRecords) }));
  const file = { format: "amalgam-results", version: resultsVersion, madeWith, taskFile, threads, models };
  return `${JSON.stringify({ ...file, summary: summarize(result) }, encodeNumbers, 2)}\n`;
}

function withoutRecords({ records, ...facts }: TaskResult) {
  return { ...facts, records: records.length };
}

/** The lines of records.jsonl for one model, each with its end. */
export function* formatRecords({ name, tasks }: ModelResult): Generator<string> {
  for (const { task, records } of tasks) {
    for (const record of records) yield `${JSON.stringify({ model: name, task, ...record }, encodeNumbers)}\n`;
  }
}

function encodeNumbers(_: string, value: unknown): unknown {
  return typeof value === "number" ? encodeNumber(value) : value;
}
