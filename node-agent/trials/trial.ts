import type { MessageInitShape } from "@bufbuild/protobuf";
import { AmalgamError } from "../../shared/errors.js";
import type {
  EvaluationFactsSchema,
  MergedModel,
  TrialFactsSchema,
  TrialResultSchema,
  TryRequest,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import type { SliceEvent } from "../evaluate/process/protocol.js";
import type { Blobs } from "./blobs.js";
import { evaluateTasks, hexOf } from "./evaluate.js";
import type { Ledger } from "./ledger.js";
import { mergeModel, type ReceiptEvent } from "./merge.js";
import type { ResidentInputs } from "./resident-inputs.js";
import type { TrialContext } from "./trial-context.js";
import { type KeptWeights, layOut, sourceNow, type Weights, weightBytes } from "./weights.js";

/** What happens while a trial runs. */
export type TrialEvent =
  | ReceiptEvent
  | { readonly type: "progress"; readonly bytesRead: number; readonly bytesWritten: number; readonly ioSeconds: number }
  | { readonly type: "trial result"; readonly result: MessageInitShape<typeof TrialResultSchema> }
  | { readonly type: "trial facts"; readonly facts: MessageInitShape<typeof TrialFactsSchema> };

/** What trials share. */
export interface TrialStores {
  readonly ledger: Ledger;
  readonly blobs: Blobs;
  readonly inputs: ResidentInputs;
  readonly kept: KeptWeights;
}

export interface TrialRun {
  readonly request: TryRequest;
  readonly stores: TrialStores;
  readonly context: TrialContext;
  readonly emit: (event: TrialEvent, taken: () => void) => void;
}

/** Merges the model, unless it is there from an earlier part of the trial, and runs it on the tasks. */
export async function runTrial({ request, stores, context, emit }: TrialRun): Promise<void> {
  const { ledger, kept, blobs, inputs } = stores;
  const { model } = request;
  if (model === undefined) throw new AmalgamError("usage", "Cannot run a trial: it names no model");
  const act = `merge trial ${request.trial}`;
  const digests = digestsOf(request);
  blobs.assertPresent(digests, act);

  const times = new Times();
  const name = `${context.job} ${hexOf(model.digest)}`;
  const found = kept.find(name);
  const weights = found ?? (await reserve(model, { name, act, digests }, stores, context));
  let isDone = false;
  try {
    // What was there before the wait for memory may have gone since.
    using used = blobs.use(digests, act);
    let ready = weights;
    let fetchedBytes = 0;
    if (found === undefined) {
      ({ ready, fetchedBytes } = await merge(model, { weights, inputs, context, times, emit }));
      kept.add(name, ready);
    }
    let ran: MessageInitShape<typeof EvaluationFactsSchema> = {};
    const onEvent = (event: SliceEvent, task: number, taken: () => void): void => {
      if (event.type === "progress") context.progress(event.bytesRead, event.bytesWritten, event.ioSeconds);
      if (event.type === "facts") {
        times.load += event.facts.loadSeconds ?? 0;
        // Of several graphs, one that could not be run as wished is worth telling.
        if ((ran.fallback ?? "") === "") ran = event.facts;
      }
      if (event.type !== "result") return;
      times.run += event.result.seconds ?? 0;
      emit({ type: "trial result", result: { task, result: event.result } }, taken);
    };
    await evaluateTasks({ request, weights: ready, blobs: used, context, onEvent });
    const { provider = "", fallback = "", runtime = "" } = ran;
    const facts = {
      ...{ provider, fallback, runtime },
      ...{ readSeconds: times.read, mergeSeconds: times.merge, loadSeconds: times.load, runSeconds: times.run },
      waitSeconds: context.signs.seconds,
      residentBytes: BigInt(inputs.bytes),
      fetchedBytes: BigInt(fetchedBytes),
      peakBytes: BigInt(ledger.peak),
      reused: found !== undefined,
    };
    emit({ type: "trial facts", facts }, () => undefined);
    isDone = true;
  } finally {
    weights.holding.release();
    // A trial that failed is not gone on with, and one that did the same at the same time may have been kept instead.
    if (!weights.holding.isUsed && !(isDone && kept.has(name, weights))) kept.remove(name, weights);
  }
}

class Times {
  read = 0;
  merge = 0;
  load = 0;
  run = 0;
}

/** Every blob that the trial needs, once. */
function digestsOf({ tasks }: TryRequest): ReadonlySet<string> {
  return new Set(tasks.flatMap(({ graphs, batches }) => [...graphs.map(({ model }) => model), ...batches].map(hexOf)));
}

/** Memory for the weights, and a folder's name. */
async function reserve(
  { files }: MergedModel,
  { name, act, digests }: { readonly name: string; readonly act: string; readonly digests: ReadonlySet<string> },
  { ledger, blobs, kept }: TrialStores,
  { scratch, signs, signal }: TrialContext,
): Promise<Weights> {
  const folder = scratch.newPath("weights");
  const wanted = {
    act,
    bytes: weightBytes(files),
    beside: () => blobs.holdings(digests),
    drop: () => kept.remove(name, weights),
  };
  const holding = await signs.during(ledger.take(wanted, signal));
  const weights: Weights = { folder, checkpoint: folder, sources: [], holding };
  return weights;
}

interface Merge {
  readonly weights: Weights;
  readonly inputs: ResidentInputs;
  readonly context: TrialContext;
  readonly times: Times;
  readonly emit: TrialRun["emit"];
}

async function merge(model: MergedModel, { weights, inputs, context, times, emit }: Merge) {
  const begun = performance.now();
  using brought = await inputs.bring(model, context);
  const isHere = performance.now();
  times.read = (isHere - begun) / 1000;
  const { folder } = weights;
  const onReceipt = (event: ReceiptEvent): void => emit(event, () => undefined);
  try {
    const paths = layOut(folder, model.files);
    await mergeModel(model, brought, paths, { context, onReceipt });
    times.merge = (performance.now() - isHere) / 1000;
    const checkpoint = paths.length === 1 ? (paths[0] ?? folder) : folder;
    const ready: Weights = { ...weights, checkpoint, sources: paths.map(sourceNow) };
    return { ready, fetchedBytes: brought.fetchedBytes };
  } catch (reason) {
    const error = AmalgamError.from(reason);
    if (error.code !== "out_of_space") throw error;
    const message = `Cannot merge trial ${context.trial} in memory: the file system of ${quote(folder)} is full, though trials use no more of it than they may; give them less ("--trial-memory" of an agent), or a file system with more room ("--trial-folder")`;
    throw new AmalgamError("out_of_memory", message, { cause: error });
  }
}
