import type { ErrorCode } from "../../shared/errors.js";
import type { Score } from "./score.js";

/** To the worker: score one checkpoint. */
export interface ScoreTask {
  /** Path of an ONNX model without weights. */
  readonly graph: string;
  /** Path of the checkpoint whose weights it gets. */
  readonly checkpoint: string;
  /** Paths of the sets of examples. */
  readonly evalSets: readonly string[];
}

export interface ScoreMessage {
  /** Comes back in the answer. */
  readonly id: number;
  readonly task: ScoreTask;
}

/** From the worker: one answer for each message. Scores are in the order of the task's sets. */
export type ScoreAnswer =
  | { readonly type: "scored"; readonly id: number; readonly scores: readonly Score[] }
  | {
      readonly type: "failed";
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: Readonly<Record<string, string>>;
    };
