import type { GraphRole, ModelGraphs } from "../graphs/types.js";
import type { Position } from "../recipe/recipe.js";

// The nouns of evaluation, in the order of their making: a Task is what the author wrote, a PreparedTask what a model is
// run on, a BatchOutput what an agent answers, an ExampleRecord what that says about one example, a TaskResult the sum.

/** What can be measured; each has a section in docs/evaluation.md. */
export type TaskKind =
  | "classification"
  | "multiple_choice"
  | "perplexity"
  | "generation"
  | "similarity"
  | "retrieval"
  | "multi_label"
  | "custom";

/** One task of a task file, as its author wrote it and with defaults filled in. `Settings` differ by kind. */
export interface Task<Kind extends TaskKind = TaskKind, Settings = unknown> {
  readonly name: string;
  readonly kind: Kind;
  readonly settings: Settings;
  /** At most so many examples, the first ones. */
  readonly limit: number | undefined;
  /** Examples in a batch at most. */
  readonly batchExamples: number;
  /** Tokens in a batch at most, padding included. */
  readonly batchTokens: number;
  /** The checkpoint that is the expert of this task, by the name it has on the command line. */
  readonly expert: string | undefined;
  /** The metric that stands for the task in tables. Default: the kind's first. */
  readonly metric: string | undefined;
  readonly file: string;
  readonly at: Position;
}

/** A row of data, and where it came from: `file:line` or `file, row n`. */
export interface Row {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly place: string;
}

/** A tensor of a batch. The first dimension counts examples. See `InputTensor` in agent.proto. */
export interface InputTensor {
  readonly dtype: "F32" | "I64" | "I32" | "U8";
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  readonly scale?: readonly number[];
  readonly shift?: readonly number[];
}

/** What a model is asked for. See the messages of the same names in agent.proto. */
export type Measure =
  | { readonly kind: "vectors"; readonly graph: GraphRole; readonly output?: string }
  | { readonly kind: "likelihood" }
  | { readonly kind: "generation"; readonly maxNewTokens: number; readonly stop: readonly number[] };

/** Examples that run together, with their inputs. */
export interface Batch {
  readonly inputs: ReadonlyMap<string, InputTensor>;
  /** Of a likelihood: which rows of the hidden states, [batch, time] flattened, predict which tokens. */
  readonly targets?: { readonly rows: Uint32Array; readonly tokens: Uint32Array };
}

/** A batch before its inputs are made. */
export interface BatchPlan {
  readonly measure: Measure;
  readonly examples: number;
  /** About how much work it is, in any unit that is the same throughout a task; also bytes of its inputs. */
  readonly cost: number;
  readonly bytes: number;
}

/** What an agent answers for one batch. */
export type BatchOutput =
  | { readonly kind: "vectors"; readonly values: Float32Array; readonly width: number }
  /** One per target; `greedy`: 1 where no token was more likely. */
  | { readonly kind: "likelihood"; readonly logprobs: Float32Array; readonly greedy: Uint8Array }
  | { readonly kind: "generation"; readonly tokens: readonly Uint32Array[] };

/**
 * A task, cut into batches for one model. Which examples run together follows from task and model alone, so that no bit
 * of a score depends on how many agents there are.
 */
export interface PreparedTask {
  readonly task: Task;
  /** The graphs that its measures run. */
  readonly graphs: ModelGraphs;
  readonly batches: readonly BatchPlan[];
  /** Makes a batch's inputs: reads images, pads. It may be called more than once for a batch. */
  load(batch: number): Promise<Batch>;
  /** Says what the answers mean, an example at a time. `outputs` has one per batch, in order. */
  finish(outputs: readonly BatchOutput[]): Promise<readonly ExampleRecord[]>;
  /** What the records amount to; the first stands for the task unless its author chose another. */
  readonly metrics: readonly Metric[];
  /** Digest of everything that decides the answers besides the model: data, settings, tokenizer. Hex SHA-256. */
  readonly digest: string;
}

/** What the evaluation found out about one example. */
export interface ExampleRecord {
  /** The example's own id where the data has one, else its number from 0. */
  readonly id: string;
  /** Numbers by name: "acc" 0 or 1, "logprob", "tokens"… Metrics are made of these. */
  readonly scores: Readonly<Record<string, number>>;
  readonly prediction?: unknown;
  readonly answer?: unknown;
}

/** One number for many records. */
export interface Metric {
  readonly name: string;
  readonly higherIsBetter: boolean;
  /** The score whose mean over the records it is, where it is one: its intervals take less work. */
  readonly meanOf?: string;
  /** NaN when the records do not say, such as a correlation of a constant. */
  of(records: readonly ExampleRecord[]): number;
  /** The same of a resample, by how often each record is in it: what all resamples share is worked out once. */
  onCounts?(records: readonly ExampleRecord[]): (counts: Uint32Array) => number;
}

/** A number with its 95 % bootstrap interval; the bounds are NaN where the records do not say. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Resamples that had no value, such as a correlation of a constant, and do not count. @default 0 */
  readonly dropped?: number;
}

export interface TaskResult {
  readonly task: string;
  readonly kind: TaskKind;
  /** The metric that stands for the task. */
  readonly metric: string;
  readonly metrics: Readonly<Record<string, Estimate & { readonly higherIsBetter: boolean }>>;
  readonly records: readonly ExampleRecord[];
  readonly digest: string;
  /** The name of the model that is the task's expert, where its author said so. */
  readonly expert?: string;
  /** What `metricsOf()` needs to make the metrics again from records: the task's `MetricSettings`. */
  readonly settings?: unknown;
}

/** All that was found out about one checkpoint. */
export interface ModelResult {
  /** By what it is called in tables. */
  readonly name: string;
  readonly checkpoint: string;
  /** Whether it is what the others began from, an expert of some task, or one of those to judge. */
  readonly role: "base" | "expert" | "model";
  readonly family: string;
  readonly tasks: readonly TaskResult[];
  /** Execution providers that ran it, and why not better ones. */
  readonly providers: readonly { readonly agent: string; readonly provider: string; readonly fallback: string }[];
  readonly seconds: number;
}

/** What `amalgam eval` found, whole: results.json without the records, which lie in records.jsonl. */
export interface EvaluationResult {
  readonly version: string;
  readonly taskFile: string;
  /** That each model ran on: they decide the last bits. */
  readonly threads?: number;
  readonly models: readonly ModelResult[];
}
