import type { GraphRequest, ModelGraphs } from "../../graphs/types.js";
import type { ReadRowsOptions } from "../data/read-rows.js";
import type { DataSource } from "../data/source.js";
import type { ImageProcessor } from "../images/processor.js";
import type { TextTokenizer } from "../text/tokenizer.js";
import type { BatchOutput, PreparedTask, Row, Task } from "../types.js";

/** What a task needs of a model's graphs. */
export type GraphNeeds = Pick<GraphRequest, "generates" | "pooling" | "output" | "taps">;

/** The checkpoint that a task is prepared for, and the world around it. */
export interface PrepareContext {
  /** The checkpoint's folder. */
  readonly directory: string;
  /** Parsed config.json. */
  readonly config: unknown;
  /** Throws `checkpoint_mismatch` where the architecture cannot do it. */
  graphs(needs: GraphNeeds): ModelGraphs;
  /** `openTextTokenizer(directory)`, opened once for all tasks. */
  tokenizer(): Promise<TextTokenizer>;
  /** `readProcessor(directory)`. */
  images(): Promise<ImageProcessor>;
  /** Ends what takes long. */
  readonly signal?: AbortSignal | undefined;
  /** `readRows()` of `../data/read-rows.js`. */
  readRows(source: DataSource, options: ReadRowsOptions): Promise<readonly Row[]>;
}

/** What `metricsOf()` needs besides the kind to make a task's metrics again. It is JSON. */
export interface MetricSettings {
  /** Of retrieval: how many of the best documents count. */
  readonly at?: number;
  /** Of multi-label: a label is predicted when its probability is greater. */
  readonly threshold?: number;
  /** Of custom: the scores of its records, and which way is better. */
  readonly scores?: Readonly<Record<string, "higher" | "lower">>;
}

/** A prepared task that says how its metrics are made again from records. */
export interface Prepared extends PreparedTask {
  readonly metricSettings: MetricSettings;
  /** What the model answered, as numbers: of kinds that are measured by vectors, one or some for each example. */
  answers?(outputs: readonly BatchOutput[]): Answers;
}

/** Logits or embeddings, in the order of the examples. */
export interface Answers {
  /** Rows of `width` numbers. */
  readonly values: Float32Array;
  readonly width: number;
  /** The right class of each example, where the task has labels. */
  readonly classes?: Int32Array;
  /** Rows for each example: the first one of all examples, then the second one of all. @default 1 */
  readonly rowsPerExample?: number;
}

/** A task of one kind, as its `prepare` function takes it. */
export type TaskOf<Settings> = Task & { readonly settings: Settings };
