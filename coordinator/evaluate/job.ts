import type { DispatchEvent } from "../dispatch/dispatcher.js";
import type { JobAgent } from "../job/job-agents.js";
import type { ExportRequest } from "./exports/export-graphs.js";
import type { ModelAgents } from "./model-agents.js";
import type { Slice } from "./slices.js";
import type { SubjectRequest } from "./subject.js";
import type { TaskResult } from "./types.js";

/** What `amalgam eval` is asked for. */
export interface EvaluationJob extends ModelAgents {
  readonly taskFile: string;
  /** Their names differ. */
  readonly models: readonly SubjectRequest[];
  /** Only these tasks. @default all */
  readonly tasks?: readonly string[] | undefined;
  /** An ONNX export to run instead of a graph of our own, and the checkpoint that it was exported from. */
  readonly graph?: ExportRequest | undefined;
  /** At most so many examples of each task, whatever the task file says. */
  readonly limit?: number | undefined;
  /** A folder for results.json, records.jsonl and report.html; also where an interrupted evaluation goes on. */
  readonly output?: string | undefined;
  readonly onEvent?: (event: EvaluationEvent) => void;
}

export type EvaluationEvent =
  /** A model's headers are read and its tasks cut into batches. */
  | { readonly type: "prepared"; readonly model: string; readonly family: string; readonly tasks: number }
  /** What was found out about the export that is run. */
  | { readonly type: "exported"; readonly notes: readonly string[] }
  /** What is odd and can be lived with. */
  | { readonly type: "note"; readonly message: string }
  | { readonly type: "unfit"; readonly agent: string; readonly reason: string }
  /** `done`: batches that an earlier run has left. */
  | { readonly type: "started"; readonly agents: readonly string[]; readonly batches: number; readonly done: number }
  | { readonly type: "batch"; readonly model: string; readonly task: string; readonly examples: number }
  | { readonly type: "dispatch"; readonly event: DispatchEvent<Slice, JobAgent> }
  /** An agent could not use the execution provider that it would have liked best. */
  | { readonly type: "fallback"; readonly agent: string; readonly provider: string; readonly reason: string }
  | { readonly type: "scored"; readonly model: string; readonly result: TaskResult };
