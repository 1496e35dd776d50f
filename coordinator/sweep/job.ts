import type { ModelAgents } from "../evaluate/model-agents.js";
import type { Spent } from "./budget.js";
import type { SweepResult } from "./result.js";
import type { RunnerOptions } from "./trials/runner.js";
import type { RunnerEvent } from "./trials/runner-event.js";
import type { Budget, SweepSpec, TrialRecord, TrialRunner } from "./types.js";

/** What `amalgam sweep` is asked for. `threads`: default those that the sweep was begun with. */
export interface SweepJob extends ModelAgents {
  readonly spec: SweepSpec;
  /** Where all of it is kept, and where an interrupted sweep goes on. It is made where it is missing. */
  readonly folder: string;
  /** Discards another sweep in the folder. @default false */
  readonly overwrite?: boolean;
  /** So much more than the budget was. */
  readonly extend?: Budget | undefined;
  /** A sweep that is finished is left as it is: nothing is started, and its result is given again. @default false */
  readonly onlyUnfinished?: boolean;
  /** Trials that failed are run once more before the search goes on. @default false */
  readonly retryFailed?: boolean;
  readonly onEvent?: (event: SweepEvent) => void;
  /** @default openTrialRunner() */
  readonly openRunner?: OpenRunner;
  /** What is made of a finished sweep's folder. @default {@link finishers} */
  readonly finishers?: readonly Finisher[];
}

export type OpenRunner = (spec: SweepSpec, options: RunnerOptions) => Promise<TrialRunner>;

/** Makes a report or a table from a sweep's folder. */
export interface Finisher {
  /** The file that it makes, for people. */
  readonly file: string;
  readonly write: (folder: string) => Promise<void>;
}

export type SweepEvent =
  /** `recorded`: trials that an earlier run has left, and what it took for them; `best`: of those. */
  | {
      readonly type: "started";
      readonly folder: string;
      readonly search: string;
      readonly dimensions: number;
      readonly recorded: number;
      readonly spent: Pick<Spent, "examples" | "minutes">;
      readonly budget: Budget;
      readonly best?: TrialRecord;
    }
  /** A trial is on record. `isBest`: it is better than all before. */
  | { readonly type: "trial"; readonly record: TrialRecord; readonly isBest: boolean }
  /** Share of a trial's work that is done, in [0, 1]. */
  | { readonly type: "progress"; readonly trial: number; readonly share: number }
  | { readonly type: "runner"; readonly event: RunnerEvent }
  /** What the search, the planner or the sweep has to say. */
  | { readonly type: "note"; readonly message: string }
  /** The search is over, and the result is judged. */
  | { readonly type: "judging"; readonly what: string }
  | { readonly type: "done"; readonly result: SweepResult };
