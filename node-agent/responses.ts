import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServerWritableStream } from "@grpc/grpc-js";
import type {
  EvaluateRequest,
  EvaluateResponseSchema,
  FactorizeRequest,
  FactorizeResponseSchema,
  MergeRequest,
  TryRequest,
  TryResponseSchema,
} from "../shared/gen/amalgam/v1/agent_pb.js";
import type { MergeResponseInit } from "../shared/rpc/chunk-encoder.js";
import { toStatus } from "../shared/rpc/status.js";
import type { SliceEvent } from "./evaluate/process/protocol.js";
import type { TaskEvent } from "./pool-worker.js";
import type { TrialEvent } from "./trials/trial.js";

export type FactorizeResponseInit = MessageInitShape<typeof FactorizeResponseSchema>;

export type EvaluateResponseInit = MessageInitShape<typeof EvaluateResponseSchema>;

export type TryResponseInit = MessageInitShape<typeof TryResponseSchema>;

/** Merge, factorize, evaluate and try answer with events of the same form. */
type ResponseInit = MergeResponseInit | FactorizeResponseInit | EvaluateResponseInit | TryResponseInit;
export type ResponseStream =
  | ServerWritableStream<MergeRequest, MergeResponseInit>
  | ServerWritableStream<FactorizeRequest, FactorizeResponseInit>
  | ServerWritableStream<EvaluateRequest, EvaluateResponseInit>
  | ServerWritableStream<TryRequest, TryResponseInit>;

/** What happens while a worker, or the process that runs models, is at work. */
export type WorkEvent = TaskEvent | SliceEvent | TrialEvent;

/**
 * The stream back to the coordinator. A chunk or a result counts as taken when it has left this process, so a slow network
 * holds its worker at a few; progress that cannot leave is added up instead of queued.
 */
export class Responses {
  readonly #call: ServerWritableStream<unknown, ResponseInit>;
  #ended = false;
  #read = 0;
  #written = 0;
  #ioSeconds = 0;
  #hasProgress = false;
  #isSendingProgress = false;

  constructor(call: ResponseStream) {
    this.#call = call as ServerWritableStream<unknown, ResponseInit>;
    // Without a listener a write to a call that broke would end the agent.
    call.on("error", () => undefined);
  }

  send(event: WorkEvent, taken: () => void): void {
    if (event.type === "progress") {
      this.progress(event.bytesRead, event.bytesWritten, event.ioSeconds);
    } else if (event.type === "chunk") {
      const { piece, offset, data, crc32 } = event;
      this.#write({ event: { case: "chunk", value: { piece, offset: BigInt(offset), data, crc32 } } }, taken);
    } else if (event.type === "receipt") {
      this.#write({ event: { case: "receipt", value: event.receipt } });
    } else if (event.type === "values") {
      this.#write({ event: { case: "values", value: { values: [...event.values] } } });
    } else if (event.type === "result") {
      this.#write({ event: { case: "result", value: event.result } }, taken);
    } else if (event.type === "trial result") {
      this.#write({ event: { case: "result", value: event.result } }, taken);
    } else if (event.type === "trial facts") {
      this.#write({ event: { case: "facts", value: event.facts } });
    } else if (event.type === "facts") {
      this.#write({ event: { case: "facts", value: event.facts } });
    } else {
      this.#write({ event: { case: "partial", value: event.partial } });
    }
  }

  progress(bytesRead: number, bytesWritten: number, ioSeconds: number): void {
    this.#read += bytesRead;
    this.#written += bytesWritten;
    this.#ioSeconds += ioSeconds;
    this.#hasProgress = true;
    this.#flushProgress();
  }

  end(): void {
    if (this.#hasProgress) {
      this.#isSendingProgress = false;
      this.#flushProgress();
    }
    this.#ended = true;
    this.#call.end();
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#call.emit("error", toStatus(error));
  }

  #flushProgress(): void {
    if (this.#isSendingProgress || !this.#hasProgress) return;
    const ioSeconds = this.#ioSeconds;
    const value = { bytesRead: BigInt(this.#read), bytesWritten: BigInt(this.#written), ioSeconds };
    [this.#read, this.#written, this.#ioSeconds] = [0, 0, 0];
    [this.#hasProgress, this.#isSendingProgress] = [false, true];
    this.#write({ event: { case: "progress", value } }, () => {
      this.#isSendingProgress = false;
      this.#flushProgress();
    });
  }

  #write(response: ResponseInit, sent?: () => void): void {
    if (this.#ended || this.#call.cancelled) sent?.();
    else this.#call.write(response, () => sent?.());
  }
}
