import { setImmediate as turn } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { AmalgamError } from "../../../shared/errors.js";
import type {
  BatchResultSchema,
  EvaluatedModel,
  EvaluateRequest,
  EvaluationBatch,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../../shared/quote.js";
import type { Answer } from "./measures/answer.js";
import { generate } from "./measures/generation.js";
import { headRuns } from "./measures/head.js";
import { likelihood } from "./measures/likelihood.js";
import { vectors } from "./measures/vectors.js";
import { batchBytes } from "./memory.js";
import type { KnownCheckpoint } from "./open-checkpoint.js";
import type { SliceEvent } from "./protocol.js";
import { runtimeVersion } from "./runtime.js";
import type { LoadedGraph, SessionStore } from "./session-store.js";
import type { WeightSurvey } from "./weights.js";

export interface SliceContext {
  readonly store: SessionStore;
  readonly open: (model: EvaluatedModel, signal: AbortSignal) => Promise<KnownCheckpoint>;
  readonly signal: AbortSignal;
  readonly emit: (event: SliceEvent) => void;
  /** Resolves when the next batch may be run. */
  readonly emitResult: (result: MessageInitShape<typeof BatchResultSchema>) => Promise<void>;
}

/** Results show life themselves: of short batches, a message for each would take as long as the batch. */
const reportMs = 1_000;

/** Loads the model unless it is loaded, and runs the batches one after the other. Between two it can be canceled. */
export async function runSlice(request: EvaluateRequest, context: SliceContext): Promise<void> {
  const { model, batches } = request;
  if (model === undefined) throw new AmalgamError("usage", "Cannot run an evaluation: it names no model");
  const { signal, emit } = context;
  const started = performance.now();
  const known = await context.open(model, signal);
  const roles = rolesOf(request, model);
  const { graphs, loadedBytes } = await context.store.load({
    ...known,
    graphs: model.graphs.filter(({ role }) => roles.includes(role)),
    threads: request.threads,
    widensOnce: (role, weights) => isRunOften(request, role, weights),
    batchBytes: (role, weights) => batchBytes(request, role, weights),
  });
  const [first] = [...graphs.values()];
  emit({ type: "progress", bytesRead: loadedBytes, bytesWritten: 0, ioSeconds: 0 });
  emit({
    type: "facts",
    facts: {
      provider: first?.provider ?? "",
      fallback: first?.fallback ?? "",
      loadSeconds: loadedBytes === 0 ? 0 : (performance.now() - started) / 1000,
      peakBytes: BigInt(process.resourceUsage().maxRSS * 1024),
      runtime: runtimeVersion,
    },
  });
  let unreported = 0;
  let reportedAt = performance.now();
  const report = (): void => {
    if (unreported > 0) emit({ type: "progress", bytesRead: unreported, bytesWritten: 0, ioSeconds: 0 });
    [unreported, reportedAt] = [0, performance.now()];
  };
  for (const batch of batches) {
    await turn();
    signal.throwIfAborted();
    const begun = performance.now();
    const answer = await measure(request, graphs, batch, signal);
    const seconds = (performance.now() - begun) / 1000;
    // The weights are read where they are: whoever wrote to them meanwhile has changed the answer.
    await known.assertUnchanged();
    unreported += inputBytes(batch);
    if (performance.now() - reportedAt >= reportMs) report();
    await context.emitResult({ ...answer, batch: batch.batch, seconds });
  }
  report();
}

/** Widening once, as a graph is loaded, takes what widening at one to three runs does. */
const manyRuns = 4;

/** Whether a graph is run so often, or so shortly, that widening its weights at every run would show. */
function isRunOften({ measure, batches }: EvaluateRequest, role: string, { widest }: WeightSurvey): boolean {
  if (measure.case === "generation") return true;
  if (measure.case !== "likelihood" || role !== "head") return false;
  return batches.reduce((runs, { rows }) => runs + headRuns(rows.length, widest), 0) >= manyRuns;
}

/** The graphs that a measure runs; what else a model has is not loaded. */
function rolesOf({ measure }: EvaluateRequest, { graphs }: EvaluatedModel): readonly string[] {
  if (measure.case === "vectors") return [measure.value.graph];
  if (measure.case === "likelihood") return ["body", "head"];
  return graphs.some(({ role }) => role === "step") ? ["step", "head", "encoder"] : ["body", "head"];
}

function measure(
  request: EvaluateRequest,
  graphs: ReadonlyMap<string, LoadedGraph>,
  batch: EvaluationBatch,
  signal: AbortSignal,
): Promise<Answer> {
  switch (request.measure.case) {
    case "vectors":
      return vectors(need(request.measure.value.graph, graphs), request.measure.value.output, batch);
    case "likelihood":
      return likelihood({ body: need("body", graphs), head: graphs.get("head") }, batch);
    case "generation": {
      const cache = request.model?.cache ?? [];
      return generate({ graphs, cache, settings: request.measure.value, signal }, batch);
    }
    default:
      throw new AmalgamError("usage", "Cannot run an evaluation: it asks for no measure that this agent knows");
  }
}

function need(role: string, graphs: ReadonlyMap<string, LoadedGraph>): LoadedGraph {
  const graph = graphs.get(role);
  if (graph === undefined) throw new AmalgamError("usage", `Cannot run an evaluation: it has no graph ${quote(role)}`);
  return graph;
}

function inputBytes({ inputs }: EvaluationBatch): number {
  return inputs.reduce((total, { data }) => total + data.length, 0);
}
