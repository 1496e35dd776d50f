import type { MetricSettings } from "../evaluate/kinds/context.js";
import type { ExampleRecord, TaskKind } from "../evaluate/types.js";
import type { Tap } from "../graphs/types.js";
import type { Position } from "../recipe/recipe.js";
import type { OtherPath } from "../sources/other-paths.js";
import type { TaskAnswers } from "./losses/answer-loss.js";
import type { OptionValues, SearchKind } from "./search/searching.js";
import type { Point, Space } from "./space.js";

// The nouns of a sweep, in the order of their making: a SweepSpec is what the author wrote, a Point what a search proposes,
// a PlannedTrial that point as a merge and what it is evaluated on, a Segment some examples of one task, a TrialRecord what
// became of it.

/** A sweep as its author wrote it. */
export interface SweepSpec {
  /** The file as the user named it, for messages, and its text. */
  readonly file: string;
  readonly text: string;
  readonly template: RecipeTemplate;
  readonly space: Space;
  readonly tasks: SweepTasks;
  /** At least one. */
  readonly objectives: readonly Objective[];
  readonly constraints: readonly Constraint[];
  /** Whichever is used up first ends the sweep. No limit in it: the search must end by itself. */
  readonly budget: Budget;
  readonly search: { readonly kind: SearchKind; readonly options: OptionValues; readonly at: Position };
  /** What random numbers grow from. @default 0 */
  readonly seed: number;
  /** See `SearchContext.width`. @default 8 */
  readonly parallel: number;
  /** What its author should know before it is run, each with its place. @default none */
  readonly warnings?: readonly string[];
}

/** A recipe with places for values. */
export interface RecipeTemplate {
  /** Where paths in the recipe start from, as a recipe file that does not exist: `<folder>/<name>.yaml`. */
  readonly file: string;
  /**
   * The recipe at a point, as YAML that `amalgam merge` runs. Values stand in plain numbers; comments of the author stay
   * where that can be.
   */
  render(point: Point): string;
  /** The same for a recipe file in another folder: paths of models are right from there. */
  renderFor(point: Point, folder: string): string;
  /** A recipe that gives one model of this one by itself, with its dtype. */
  renderReference(model: string): string;
  /** The models of the recipe as it names them: the base first, if it has one. `copy`: of one on a server, its folder. */
  readonly models: readonly { readonly name: string; readonly isBase: boolean; readonly copy?: string | undefined }[];
  /** Where models on servers were downloaded to. @default all models are folders */
  readonly otherPath?: OtherPath;
}

/** What trials are evaluated on. */
export interface SweepTasks {
  /** A task file of `amalgam eval`. */
  readonly file: string;
  /** Only these tasks. Undefined: all. */
  readonly only: readonly string[] | undefined;
  /** At most so many examples of each, as in the task file. */
  readonly limit: number | undefined;
  /** Examples in the order of the data, or shuffled by the seed, so that a part of them stands for all. */
  readonly shuffle: boolean;
  /**
   * What no search may see, on which the result is judged: a share of the examples of each task, in (0, 1); or a task file
   * of its own, with tasks of the same names. Undefined: nothing is held out, and the result says so.
   */
  readonly holdOut: number | { readonly file: string } | undefined;
  /** Examples of each task at every rung but the last, ascending: numbers, or shares below 1. Empty: the search's own. */
  readonly rungs: readonly number[];
  /** By task: the model of the recipe that is its expert. From here, the task file's `expert`, or a model with the task's name. */
  readonly experts: ReadonlyMap<string, string>;
}

/** What a trial is good for. */
export type Objective = {
  /** As people are told: "mean acc", "rotated logprob", "entropy". */
  readonly name: string;
  /** Of one task, the mean over the tasks, or the worst of them. */
  readonly of: { readonly task: string } | "mean" | "worst";
  readonly weight: number;
} & (
  | { readonly kind: "metric" /** Undefined: each task's own. */; readonly metric: string | undefined }
  /** Smaller is better. `loss`: {@link AnswerLoss.name} */
  | { readonly kind: "loss"; readonly loss: string }
);

/** A trial whose metric is outside is worse than all inside. */
export interface Constraint {
  readonly name: string;
  readonly of: { readonly task: string } | "mean" | "worst";
  readonly metric: string | undefined;
  readonly at: Position;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Budget {
  readonly trials?: number;
  /** Examples that models are run on, over all tasks; those on record do not count again. */
  readonly examples?: number;
  /** Of work, interruptions not counted. */
  readonly minutes?: number;
}

/** Which examples: one rung's own, those after the rung below; or those that are held out. */
export type SegmentPart = number | "held out";

/** Some examples of one task as one merged model is asked about them. */
export interface Segment {
  readonly task: string;
  readonly part: SegmentPart;
  readonly examples: number;
  /** Of all that decides its records: merged bytes, examples, graphs, threads. Hex SHA-256. */
  readonly key: string;
}

/** A task of a sweep as far as scores go; the same for all its trials. */
export interface ScoredTask {
  readonly name: string;
  readonly kind: TaskKind;
  /** The metric that stands for it. */
  readonly metric: string;
  readonly metricSettings: MetricSettings;
  /** Examples by rung, cumulative, and those held out. */
  readonly rungs: readonly number[];
  readonly heldOut: number;
}

/** A recipe that is planned, and the segments that it may be asked about. Nothing has been read but headers. */
export interface PlannedTrial {
  /** Of everything that decides the merged bytes: the plan's digest. Hex. */
  readonly weights: string;
  readonly segments: readonly Segment[];
  readonly warnings: readonly string[];
}

/** What an agent found out about a segment. */
export interface SegmentResult {
  readonly segment: Segment;
  readonly records: readonly ExampleRecord[];
  /** Where they were asked for and the task is measured by vectors. */
  readonly answers?: TaskAnswers;
}

/** How a trial was run. */
export interface TrialFacts {
  readonly agent: string;
  readonly provider: string;
  readonly attempts: number;
  /** Of planning here; of waiting, reading inputs, merging, loading and running on the agent. */
  readonly seconds: {
    readonly plan: number;
    readonly wait: number;
    readonly read: number;
    readonly merge: number;
    readonly load: number;
    readonly run: number;
  };
  /** What trials have held in memory at most on that agent, and what they may. */
  readonly peakBytes: number;
  readonly budgetBytes: number;
}

export interface TrialRun {
  /** One for each segment that was asked for, in order. */
  readonly segments: readonly SegmentResult[];
  readonly facts: TrialFacts;
}

/**
 * Runs trials on agents that come and go. Calls may overlap: as many run at once as agents have room for, the rest wait in
 * order. A trial fails by itself, with the reason; the others go on.
 */
export interface TrialRunner extends AsyncDisposable {
  /** That models run on, on every agent alike; they decide the last bits of scores. */
  readonly threads: number;
  /** The sweep's tasks. The first plan decides them: examples, batches and rungs are the same for all trials. */
  readonly tasks: readonly ScoredTask[];
  /** The names of the agents that take part now. */
  readonly agents: readonly string[];
  /** Reads no more than headers. Fails with `recipe_invalid` or `checkpoint_mismatch`, as `amalgam plan` would. */
  plan(recipeText: string): Promise<PlannedTrial>;
  /** Merges and evaluates. `answers`: what models answered is wanted too. Fails with the reason of the last attempt. */
  run(
    trial: PlannedTrial,
    segments: readonly Segment[],
    options: {
      readonly signal: AbortSignal;
      readonly answers: boolean;
      readonly label: string;
      /** Share of the work that is done, in [0, 1]. */
      readonly onProgress?: (share: number) => void;
    },
  ): Promise<TrialRun>;
  /**
   * Merges, and looks at what linear layers are given for the first examples of a task, those that are held out not among
   * them. Fails with `checkpoint_mismatch` where the model cannot be looked into.
   */
  tap?(
    trial: PlannedTrial,
    options: {
      readonly task: string;
      readonly examples: number;
      readonly signal: AbortSignal;
      readonly label: string;
    },
  ): Promise<TappedExamples>;
}

/** What the linear layers of a model were given. */
export interface TappedExamples {
  readonly taps: readonly Tap[];
  /** The output `taps` of each example: see `readTaps()`. */
  readonly examples: readonly Float32Array[];
}

/** What is on record of a trial: a line of trials.jsonl. */
export interface TrialRecord {
  /** Counts from 1. */
  readonly trial: number;
  readonly label?: string;
  readonly point: Point;
  readonly rung: number;
  /** A model of the recipe that was run by itself. */
  readonly reference?: string;
  /** Of point, inputs and evaluation; equal ones are run once. Hex SHA-256. */
  readonly key: string;
  readonly status: "done" | "failed";
  readonly failure?: { readonly code: string; readonly message: string };
  /** Of {@link PlannedTrial.weights}; undefined where it could not be planned. */
  readonly weights?: string;
  /** In the order of the spec, as people read them (accuracy, not its loss). */
  readonly objectives: Readonly<Record<string, number>>;
  readonly losses: readonly number[];
  readonly loss: number;
  readonly violation: number;
  /** Every metric of every task. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Examples of all tasks that it was judged by, and of those the ones that were run for it. */
  readonly examples: number;
  readonly fresh: number;
  readonly segments: readonly Segment[];
  readonly facts?: TrialFacts;
  /** It was run again after it had failed: the search was told of the failure. */
  readonly retried?: boolean;
  readonly startedAt: string;
  readonly seconds: number;
}
