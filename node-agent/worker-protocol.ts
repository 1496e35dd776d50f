import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ErrorCode } from "../shared/errors.js";
import type {
  FactorizeRequest,
  GatheredPartialSchema,
  MergeRequest,
  PieceReceiptSchema,
} from "../shared/gen/amalgam/v1/agent_pb.js";
import type { ArenaState, FetchMessage } from "./files/arena.js";
import type { IoLimitState } from "./io-limit.js";

/** What a worker thread is started with. */
export interface WorkerSettings {
  /** What this worker may hold for tensor data. */
  readonly memoryBytes: number;
  /** The folders below which it may read and write, resolved. */
  readonly roots: readonly string[];
  /** Of all workers together. Undefined: none. */
  readonly ioLimit?: IoLimitState | undefined;
  /** Int32 cells shared with the pool, by {@link controlCells}. */
  readonly control: SharedArrayBuffer;
}

/** Cells of the shared control block. A worker in a tile loop takes no messages, so these are how it is reached. */
export const controlCells = {
  /** The task that must stop, by number; −1 when none. The worker looks between tiles. */
  cancel: 0,
  /** Chunks posted and not yet taken by the network. The worker waits at {@link maxChunksInFlight}. */
  chunksInFlight: 1,
} as const;

export const maxChunksInFlight = 4;

/** To a worker: run this unit. Tasks are numbered by the pool; a worker runs one at a time. */
export interface RunMessage {
  readonly type: "run";
  readonly task: number;
  readonly request: MergeRequest;
  /** A folder of the agent's own that this unit may use besides the roots, resolved. */
  readonly scratch?: string;
}

/** To a worker: factorize this matrix. */
export interface FactorizeMessage {
  readonly type: "factorize";
  readonly task: number;
  readonly request: FactorizeRequest;
}

/** What a worker can be asked to do. */
export type Work = Omit<RunMessage, "task"> | Omit<FactorizeMessage, "task">;

/** From a worker, once: the memory that {@link FetchMessage}s speak of. */
export interface ArenaMessage {
  readonly type: "arena";
  readonly arena: ArenaState;
}

/** From a worker. Everything between two terminal messages belongs to one task. */
export type WorkerMessage =
  | ArenaMessage
  | FetchMessage
  | {
      readonly type: "progress";
      readonly bytesRead: number;
      readonly bytesWritten: number;
      readonly ioSeconds: number;
      /** Of these, in writes. */
      readonly writeSeconds?: number;
    }
  | {
      readonly type: "chunk";
      readonly piece: number;
      readonly offset: number;
      readonly data: Uint8Array<ArrayBuffer>;
      readonly crc32: number;
    }
  | { readonly type: "receipt"; readonly receipt: MessageInitShape<typeof PieceReceiptSchema> }
  | { readonly type: "partial"; readonly partial: MessageInitShape<typeof GatheredPartialSchema> }
  /** The singular values of a factorization. */
  | { readonly type: "values"; readonly values: Float64Array }
  | { readonly type: "done" }
  | {
      readonly type: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: Readonly<Record<string, string>>;
    };
