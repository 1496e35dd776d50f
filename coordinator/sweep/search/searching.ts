import type { RecipeLayers } from "../layers/types.js";
import type { AnswerLoss, TaskAnswers } from "../losses/answer-loss.js";
import type { Point, Space } from "../space.js";
import type { TaskVectors } from "../task-vectors.js";
import type { Random } from "./random.js";

// A search is a generator that reads as its paper does: it starts trials, waits for some of them, and goes on with what
// they gave. It knows no clock and no agents, and it is told outcomes only when and in the order in which it asks for
// them. So the same sweep takes the same course on one agent or a hundred, and a search that was interrupted is run again
// from its start, with the trials on record for answers, until it stands where it was.

/** A trial that a search wants. */
export interface TrialRequest {
  readonly point: Point;
  /** Into {@link SearchContext.rungs}. @default the last: all examples */
  readonly rung?: number;
  /** What it is to the search, for people: "generation 3", "line search". */
  readonly label?: string;
  /** A model of the recipe, as the recipe names it, is run by itself, and the point counts for nothing. */
  readonly reference?: string;
}

/** What became of a trial. */
export interface Outcome {
  /** Counts a sweep's trials from 1, in the order of their starts. */
  readonly trial: number;
  readonly point: Point;
  readonly rung: number;
  /** Why it has no score: it must not count as a bad one. */
  readonly failure?: string;
  /** One per objective, smaller is better; NaN where it failed. */
  readonly losses: readonly number[];
  /** The weighted sum of them, for searches that know one objective only. */
  readonly loss: number;
  /** By how much constraints are violated, summed. 0: not at all. */
  readonly violation: number;
  /**
   * Of each task the score of every example that the objective is the mean of, larger is better, in the order of the
   * examples; those of a lower rung come first. Tasks whose objective is no mean over examples are not there.
   */
  readonly examples: ReadonlyMap<string, Float64Array>;
  /** What the model answered, by task: where {@link SearchKind.answers} asks for it. */
  readonly answers?: ReadonlyMap<string, TaskAnswers>;
}

/** What a search may know of its problem. */
export interface SearchContext {
  readonly space: Space;
  /** How many objectives an outcome has losses for. */
  readonly objectives: number;
  /**
   * Trials that a search keeps going at once where it need not wait for any. Part of the sweep, since it decides what a
   * search knows when it proposes a trial; never the number of agents.
   */
  readonly width: number;
  /** Examples of each task at every rung, ascending; the last are all. Rungs are nested. */
  readonly rungs: readonly number[];
  /** Of each objective the task that it is of; undefined for those of several tasks. */
  readonly objectiveTasks?: readonly (string | undefined)[];
  /** By what the objectives are computed from answers; undefined where they are metrics. */
  readonly loss?: AnswerLoss;
  /** How much each task counts in the weighted sum of the objectives. @default all the same */
  readonly taskWeights?: ReadonlyMap<string, number>;
  /** Lengths and angles of the recipe's task vectors: where {@link SearchKind.taskVectors} asks for them. */
  readonly taskVectors?: TaskVectors;
  /** The linear layers that the recipe merges: where {@link SearchKind.layers} asks for them. */
  readonly layers?: RecipeLayers;
  /** By task of the sweep: the model of the recipe that is its expert, as the recipe names it. */
  readonly experts: ReadonlyMap<string, string>;
  /** Random numbers that follow from the sweep's seed and this name alone. */
  readonly random: (stream: string) => Random;
  /** Something worth a line to the author. */
  readonly note: (message: string) => void;
}

/** What a search came to, where that is not just its best trial. */
export interface SearchResult {
  /** What it recommends; default: the trial with the smallest loss among those on all examples. */
  readonly best?: Point;
  /** Default: the trials that no other one dominates. */
  readonly front?: readonly Point[];
  /** What is to be reported besides, as plain JSON: learnt coefficients, fits. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

export type Step =
  | { readonly kind: "start"; readonly requests: readonly TrialRequest[] }
  /** By {@link Outcome.trial}. */
  | { readonly kind: "wait"; readonly trials: readonly number[] };

/** To `start` the numbers of the trials, to `wait` their outcomes in the order asked for. */
export type StepAnswer = readonly number[] | readonly Outcome[];

export type Searching<Result> = Generator<Step, Result, StepAnswer>;

/** Has trials run. Returns their numbers at once. */
export function* start(requests: readonly TrialRequest[]): Searching<readonly number[]> {
  return (yield { kind: "start", requests }) as readonly number[];
}

/** The outcomes of trials that were started, in the order asked for. */
export function* wait(trials: readonly number[]): Searching<readonly Outcome[]> {
  return (yield { kind: "wait", trials }) as readonly Outcome[];
}

/** A search that computes for long lets others have a turn: nothing is waited for. */
export function* breathe(): Searching<void> {
  yield* wait([]);
}

/** Both. */
export function* evaluate(requests: readonly TrialRequest[]): Searching<readonly Outcome[]> {
  return yield* wait(yield* start(requests));
}

/** A setting of a search, as its author may write it under `search:`. */
export type OptionSpec =
  | { readonly kind: "number"; readonly default?: number; readonly low: number; readonly high: number }
  | { readonly kind: "integer"; readonly default?: number; readonly low: number; readonly high: number }
  | { readonly kind: "boolean"; readonly default: boolean }
  | { readonly kind: "choice"; readonly default: string; readonly values: readonly string[] };

export type OptionValues = Readonly<Record<string, number | boolean | string | undefined>>;

/** A kind of search: one short file, entered in `searches.ts`. */
export interface SearchKind {
  /** As authors write it: "cma-es". */
  readonly name: string;
  /** A line for people, with the source. */
  readonly summary: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** It uses rungs; a sweep that gives none gets the default ones. @default false */
  readonly rungs?: boolean;
  /** It needs what models answer, and so a loss for objective. @default false */
  readonly answers?: boolean;
  /** It needs lengths and angles of task vectors, for which base and experts are read once. @default false */
  readonly taskVectors?: boolean;
  /**
   * Whether it needs to know what linear layers are given, for which each task's expert is run once on the first
   * `examples` of its task: an option that it has. @default false
   */
  readonly layers?: (options: OptionValues) => boolean;
  /** It ends by itself, when nothing is left to try. Others go on until the sweep's budget is used up. @default true */
  readonly ends?: boolean;
  /** It seeks a front of several objectives. Others are given their weighted sum. @default false */
  readonly front?: boolean;
  /** Why it cannot search this; undefined if it can. Asked before anything is run. */
  readonly refuses?: (
    problem: Pick<SearchContext, "space" | "objectives" | "objectiveTasks" | "rungs" | "experts">,
    options: OptionValues,
  ) => string | undefined;
  /**
   * Ends when there is nothing left to try; one that has no end is ended by the sweep's budget. What it proposes must not
   * depend on that budget, or a sweep could not be extended.
   */
  readonly search: (context: SearchContext, options: OptionValues) => Searching<SearchResult | undefined>;
}
