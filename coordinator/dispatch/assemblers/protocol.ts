import type { PlainError } from "../../../shared/errors.js";
import type { Security } from "../../../shared/rpc/security.js";
import type { Unit } from "../../plan/types.js";
import type { Agent } from "../agents.js";
import type { UnitResult } from "../attempt.js";
import type { ExpectedPiece } from "../request.js";

// What the coordinator's main thread and its assemblers say to each other.

/** A staged file that an assembler writes into: only between these places. */
export interface WritableFile {
  readonly path: string;
  readonly begin: number;
  readonly end: number;
}

/** What an assembler is started with. */
export interface AssemblerData {
  readonly files: readonly WritableFile[];
  readonly security: Security | undefined;
}

/** Where to, what it is called, and whom its certificate has to name. */
export type AssemblerAgent = Pick<Agent, "address" | "name" | "label" | "certifiedName">;

/** An attempt at a unit that streams. The pieces go without their schedules, which only statistics passes need. */
export interface AssemblerTask {
  readonly id: number;
  readonly agent: AssemblerAgent;
  readonly unit: Unit;
  readonly epoch: number;
  readonly traceparent: string | undefined;
  readonly chunkBytes: number;
  /** A MergeRequest. */
  readonly message: Uint8Array;
  readonly pieces: readonly Omit<ExpectedPiece, "schedule">[];
}

export type ToAssembler =
  | { readonly type: "run"; readonly task: AssemblerTask }
  | { readonly type: "cancel"; readonly id: number; readonly reason: PlainError }
  /** Bring all that was written to the disk. */
  | { readonly type: "sync"; readonly id: number };

export type FromAssembler =
  | { readonly type: "progress"; readonly id: number; readonly bytesRead: number; readonly bytesWritten: number }
  | { readonly type: "done"; readonly id: number; readonly result: UnitResult | undefined }
  | {
      readonly type: "failed";
      readonly id: number;
      readonly error: PlainError;
      /** The files, by place, that could not be synced. */
      readonly unsynced?: readonly number[];
    };
