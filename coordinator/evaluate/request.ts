import { resolve } from "node:path";
import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import { maxMessageBytes } from "../../shared/rpc/channel.js";
import type { GraphRole, ModelGraph, ModelGraphs } from "../graphs/types.js";
import type { SliceRequest } from "./attempt.js";
import type { Slice } from "./slices.js";
import type { Subject } from "./subject.js";
import type { Measure, PreparedTask } from "./types.js";
import { batchMessage, cacheMessage, measureMessage } from "./wire.js";

export interface RequestParts {
  readonly slice: Slice;
  readonly epoch: number;
  readonly job: string;
  readonly subject: Subject;
  readonly prepared: PreparedTask;
  /** That every agent runs a model on. */
  readonly threads: number;
  /** Batches that have an answer already are left out. */
  readonly isDone: (batch: number) => boolean;
}

/** The request for a slice: the graphs that its measure runs, and its batches with their inputs. */
export async function buildRequest(parts: RequestParts): Promise<SliceRequest> {
  const { slice, epoch, job, subject, prepared, threads, isDone } = parts;
  const { graphs } = prepared;
  const wanted = slice.batches.filter((batch) => !isDone(batch));
  const expected = new Map<number, { readonly examples: number; readonly targets: number }>();
  const batches: ReturnType<typeof batchMessage>[] = [];
  for (const batch of wanted) {
    const loaded = await prepared.load(batch);
    batches.push(batchMessage(batch, loaded));
    const { examples = 0 } = prepared.batches[batch] ?? {};
    expected.set(batch, { examples, targets: loaded.targets?.rows.length ?? 0 });
  }
  assertSize(slice, graphs, batches);
  return {
    slice,
    expected,
    message: {
      // Nobody else can lead an evaluation: its results are its own.
      leadership: { job, fence: 0n },
      unit: slice.id,
      epoch,
      threads,
      model: {
        checkpoint: resolve(subject.request.path),
        sources: [...subject.sources],
        graphs: rolesOf(slice.measure, graphs).flatMap((role) => {
          const graph = graphs.graphs[role];
          return graph === undefined ? [] : [{ role, model: graph.model, bindings: bindingMessages(graph) }];
        }),
        ...(graphs.cache === undefined ? {} : { cache: cacheMessage(graphs.cache) ?? [] }),
      },
      measure: measureMessage(slice.measure, graphs.decoderStart),
      batches,
    },
  };
}

export function bindingMessages({ bindings = [] }: ModelGraph) {
  return bindings.map(({ initializer, tensor, transposed, axis = 0 }) => ({ initializer, tensor, transposed, axis }));
}

/** What a measure runs. Graphs that a measure has no use for stay here: each takes memory where it is loaded. */
export function rolesOf(measure: Measure, { kind, graphs }: ModelGraphs): readonly GraphRole[] {
  switch (measure.kind) {
    case "vectors":
      return [measure.graph];
    case "likelihood":
      return ["body", "head"];
    case "generation":
      if (graphs.step === undefined) return ["body", "head"];
      return kind === "seq2seq" ? ["encoder", "step", "head"] : ["step", "head"];
  }
}

/** A message that is too large fails at its sender with no word of what it was. */
function assertSize(slice: Slice, graphs: ModelGraphs, batches: readonly ReturnType<typeof batchMessage>[]): void {
  let bytes = 1 << 20;
  for (const role of rolesOf(slice.measure, graphs)) bytes += graphs.graphs[role]?.model.length ?? 0;
  for (const { inputs = [], rows = [] } of batches) {
    for (const { data } of inputs) bytes += data?.length ?? 0;
    bytes += 10 * rows.length;
  }
  if (bytes <= maxMessageBytes) return;
  const [shown, limit] = [formatBytes(bytes), formatBytes(maxMessageBytes)];
  throw new AmalgamError(
    "usage",
    `Cannot send ${slice.batches.length} batches at once: they have ${shown}, above the limit of ${limit}; make batches smaller with "batch" in the task file`,
  );
}
