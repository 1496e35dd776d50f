import type { Outcome, TrialRequest } from "../searching.js";
import type { AnswerGoal } from "./answer-goal.js";
import type { Box } from "./box.js";
import type { Regulariser } from "./regulariser.js";

/** What is descended on: numbers in a box, the trial that each place stands for, and what its outcome is worth. */
export interface Descent {
  readonly box: Box;
  /** Of each number, for people. */
  readonly names: readonly string[];
  request(x: Float64Array, label: string): TrialRequest;
  /** Without the regulariser; NaN where there is none. */
  loss(outcome: Outcome): number;
  readonly regulariser: Regulariser;
  readonly note: (message: string) => void;
}

/** One whose trials answer by vectors. */
export interface AnswerDescent extends Descent {
  readonly goal: AnswerGoal;
}

/** Where a descent came to. */
export interface Descended {
  readonly x: Float64Array;
  /** With the regulariser. NaN: no trial on the way was of any use. */
  readonly loss: number;
  /** What happened, in order, for the report. */
  readonly course: readonly Readonly<Record<string, number | string | boolean>>[];
}

export function totalLoss(descent: Descent, x: Float64Array, outcome: Outcome | undefined): number {
  return outcome === undefined ? Number.NaN : descent.loss(outcome) + descent.regulariser.value(x);
}

/** Why a trial is of no use, for a note. */
export function reasonOf(outcome: Outcome | undefined): string {
  return outcome?.failure ?? "its loss is not a number";
}
