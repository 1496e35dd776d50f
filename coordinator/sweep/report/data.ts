// What the page's scripts know: plain JSON. Trials are columns, all of the same length and in the order of their numbers;
// "which" is a place in them. What is no number is null.

/** A score that trials have, and that plots may show. */
export interface ReportScore {
  readonly name: string;
  readonly kind: "objective" | "sum" | "metric";
  /** Undefined where nobody said. */
  readonly better: "higher" | "lower" | undefined;
  readonly values: readonly (number | null)[];
  /** Of the merge that nobody searched for. */
  readonly start: number | null;
  /** By dimension, see importanceOf(). */
  readonly importance: readonly number[];
}

/** A parameter that the sweep varied. */
export interface ReportDimension {
  readonly name: string;
  readonly kind: "range" | "choice";
  readonly scale: "linear" | "log";
  readonly low: number;
  readonly high: number;
  /** Of a choice: as people read them; values are places in it. */
  readonly choices: readonly string[];
  readonly values: readonly (number | null)[];
}

export interface ReportTrials {
  readonly number: readonly number[];
  readonly failed: readonly boolean[];
  /** Merges that were judged by the same, most examples: only these are compared. */
  readonly comparable: readonly boolean[];
  readonly violation: readonly (number | null)[];
  readonly examples: readonly number[];
  readonly seconds: readonly number[];
  /** Place in `agents`, -1 for none. */
  readonly agent: readonly number[];
  /** By place: what only few trials have. */
  readonly notes: Readonly<Record<number, string>>;
}

/** Recipes as places of lines in one list: they share most of them. By place of the trial. */
export interface ReportRecipes {
  readonly lines: readonly string[];
  readonly of: Readonly<Record<number, readonly number[]>>;
  /** Why a recipe is not here. */
  readonly missing: string;
}

/** Models against examples. */
export interface ReportAgreement {
  readonly title: string;
  readonly rows: readonly { readonly name: string; readonly which?: number }[];
  readonly columns: readonly { readonly task: string; readonly id: string; readonly answer: string }[];
  /** By row and column: a score in [0, 1], and a place in `words`. */
  readonly scores: readonly (readonly (number | null)[])[];
  readonly predictions: readonly (readonly number[])[];
  readonly words: readonly string[];
  readonly note: string;
}

/** Means over the trials that an agent ran, in seconds, by {@link timeParts}. */
export interface ReportAgent {
  readonly name: string;
  readonly trials: number;
  readonly seconds: readonly number[];
}

export const timeParts = ["plan", "wait", "read", "merge", "load", "run"] as const;

export interface ReportData {
  readonly scores: readonly ReportScore[];
  readonly dimensions: readonly ReportDimension[];
  readonly trials: ReportTrials;
  readonly best: number | null;
  /** What no other trial is better than in all objectives; empty for one objective. */
  readonly front: readonly number[];
  readonly recipes: ReportRecipes;
  readonly agreements: readonly ReportAgreement[];
  readonly agents: readonly ReportAgent[];
  readonly timeParts: readonly string[];
}
