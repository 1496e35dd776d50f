import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PlainError } from "../../../shared/errors.js";
import type {
  BatchResultSchema,
  EvaluateRequest,
  EvaluationFactsSchema,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import type { Provider } from "../providers.js";

// What an agent and the process that runs its models say to each other. The process runs one slice at a time.

export interface ProcessSettings {
  /** The folders below which it reads, resolved. */
  readonly roots: readonly string[];
  /** In the order to try them. */
  readonly providers: readonly Provider[];
  /** Threads of one operator. Undefined: one per core. */
  readonly threads: number | undefined;
  /** What models and their batches may take. Undefined: most of what is free when a slice begins. */
  readonly memoryBytes: number | undefined;
}

/** Results that may wait for the network; the process waits before it computes another. */
export const maxResultsInFlight = 4;

export type ToProcess =
  /** Once, before all else. */
  | { readonly type: "begin"; readonly settings: ProcessSettings }
  | {
      readonly type: "evaluate";
      readonly slice: number;
      readonly request: EvaluateRequest;
      /**
       * The agent's own folder, resolved, in which the model is held in memory: it is looked at once, nobody else writes
       * to it, and what its files take is accounted for.
       */
      readonly scratch?: string | undefined;
    }
  /** Lets go of a model in the scratch folder, after the slice that runs. Answered by "forgotten". */
  | { readonly type: "forget"; readonly checkpoint: string }
  | { readonly type: "cancel"; readonly slice: number }
  /** The network has a result. */
  | { readonly type: "taken"; readonly slice: number };

/** What happens while a slice runs. */
export type SliceEvent =
  | { readonly type: "progress"; readonly bytesRead: number; readonly bytesWritten: number; readonly ioSeconds: number }
  | { readonly type: "facts"; readonly facts: MessageInitShape<typeof EvaluationFactsSchema> }
  | { readonly type: "result"; readonly result: MessageInitShape<typeof BatchResultSchema> };

export type FromProcess =
  | { readonly type: "event"; readonly slice: number; readonly event: SliceEvent }
  | { readonly type: "done"; readonly slice: number }
  | { readonly type: "forgotten"; readonly checkpoint: string }
  | { readonly type: "failed"; readonly slice: number; readonly error: PlainError };
