import { create, fromBinary } from "@bufbuild/protobuf";
import { AmalgamError } from "../../shared/errors.js";
import {
  type EvaluateRequest,
  EvaluateRequestSchema,
  type EvaluationBatch,
  EvaluationBatchSchema,
  type TrialTask,
  type TryRequest,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { assertEvaluateRequest } from "../evaluate/check-request.js";
import { limits } from "../evaluate/limits.js";
import type { SliceEvent } from "../evaluate/process/protocol.js";
import type { UsedBlobs } from "./blobs.js";
import { partBytes } from "./limits.js";
import type { TrialContext } from "./trial-context.js";
import type { Weights } from "./weights.js";

/** Some batches of one task, as the process that runs models takes them. */
interface Part {
  readonly task: number;
  readonly request: EvaluateRequest;
}

export interface EvaluatedTasks {
  readonly request: TryRequest;
  readonly weights: Weights;
  readonly blobs: UsedBlobs;
  readonly context: TrialContext;
  /** What happens, and of which task. */
  readonly onEvent: (event: SliceEvent, task: number, taken: () => void) => void;
}

/**
 * Runs the merged model on all tasks, one after the other, with the process that runs models to itself: a graph that
 * several tasks have is loaded once. The process has let go of the model when this settles.
 */
export function evaluateTasks({ request, weights, blobs, context, onEvent }: EvaluatedTasks): Promise<void> {
  const { evaluations, scratch, signal, signs } = context;
  const { checkpoint } = weights;
  const endWait = signs.begin();
  const held = evaluations.hold(async (process) => {
    endWait();
    try {
      for (const { task, request: part } of partsOf(request, weights, blobs)) {
        const listener = { onEvent: (event: SliceEvent, taken: () => void) => onEvent(event, task, taken) };
        await process.run(part, listener, signal, scratch.path);
      }
    } finally {
      await process.forget(checkpoint);
    }
  }, signal);
  return held.finally(endWait);
}

function* partsOf(request: TryRequest, { checkpoint, sources }: Weights, blobs: UsedBlobs): Generator<Part> {
  const { trial: unit, epoch, threads } = request;
  for (const task of request.tasks) {
    const graphs = task.graphs.map(({ role, model, bindings }) => ({ role, model: blobs.get(hexOf(model)), bindings }));
    for (const batches of inParts(task, blobs)) {
      const part = create(EvaluateRequestSchema, {
        ...{ unit, epoch, threads },
        model: { checkpoint, sources: [...sources], graphs, cache: task.cache },
        measure: task.measure,
        batches: [...batches],
      });
      assertEvaluateRequest(part);
      yield { task: task.task, request: part };
    }
  }
}

/** The task's batches, some at a time. */
function* inParts({ batches }: TrialTask, blobs: UsedBlobs): Generator<readonly EvaluationBatch[]> {
  let part: EvaluationBatch[] = [];
  let bytes = 0;
  for (const digest of batches) {
    const blob = blobs.get(hexOf(digest));
    if (part.length > 0 && (bytes + blob.length > partBytes || part.length >= limits.batches)) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(batchFrom(blob, hexOf(digest)));
    bytes += blob.length;
  }
  yield part;
}

function batchFrom(blob: Uint8Array, digest: string): EvaluationBatch {
  try {
    return fromBinary(EvaluationBatchSchema, blob);
  } catch (error) {
    const { message } = AmalgamError.from(error);
    throw new AmalgamError("usage", `Cannot run a trial: the blob ${digest} is no batch: ${message}`, { cause: error });
  }
}

/** A digest as blobs are named by. */
export function hexOf(digest: Uint8Array): string {
  return Buffer.from(digest).toString("hex");
}
