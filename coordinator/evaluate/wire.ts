import type { MessageInitShape } from "@bufbuild/protobuf";
import { AmalgamError } from "../../shared/errors.js";
import type {
  BatchResult,
  EvaluatedModelSchema,
  EvaluateRequestSchema,
  EvaluationBatchSchema,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import type { CacheSlot } from "../graphs/types.js";
import type { Batch, BatchOutput, Measure } from "./types.js";

/** A measure as a field of an EvaluateRequest. `decoderStart`: of a model that generates with a decoder of its own. */
export function measureMessage(
  measure: Measure,
  decoderStart: number | undefined,
): NonNullable<MessageInitShape<typeof EvaluateRequestSchema>["measure"]> {
  switch (measure.kind) {
    case "vectors":
      return { case: "vectors", value: { graph: measure.graph, output: measure.output ?? "" } };
    case "likelihood":
      return { case: "likelihood", value: {} };
    case "generation": {
      const { maxNewTokens, stop } = measure;
      const start = decoderStart === undefined ? {} : { decoderStart };
      return { case: "generation", value: { maxNewTokens, stop: [...stop], ...start } };
    }
  }
}

export function batchMessage(index: number, batch: Batch): MessageInitShape<typeof EvaluationBatchSchema> {
  return {
    batch: index,
    inputs: [...batch.inputs].map(([name, { dtype, shape, data, scale = [], shift = [] }]) => {
      return { name, dtype, shape: [...shape], data, scale: [...scale], shift: [...shift] };
    }),
    rows: batch.targets === undefined ? [] : [...batch.targets.rows],
    targets: batch.targets === undefined ? [] : [...batch.targets.tokens],
  };
}

/** Which caches a step has. */
export function cacheMessage(cache: readonly CacheSlot[]): MessageInitShape<typeof EvaluatedModelSchema>["cache"] {
  return cache.map(({ heads, width }) => ({ heads, width }));
}

/**
 * An agent's answer for one batch. Fails with `chunk_corrupt` when it is not one for so many examples and targets:
 * nothing that an agent sends is believed.
 */
export function readResult(
  result: BatchResult,
  measure: Measure,
  batch: { readonly examples: number; readonly targets: number },
  agent: string,
): BatchOutput {
  const corrupt = (problem: string): AmalgamError =>
    new AmalgamError("chunk_corrupt", `Agent ${agent} sent a wrong result of batch ${result.batch}: ${problem}`, {
      details: { agent },
    });
  switch (measure.kind) {
    case "vectors": {
      const { width, vectors } = result;
      if (vectors.length !== 4 * width * batch.examples) {
        throw corrupt(`${vectors.length} bytes for ${batch.examples} vectors of ${width} numbers`);
      }
      // Copied, since its place in the message is arbitrary and numbers have to be aligned; and not by slice(), which for
      // the Buffers of gRPC copies nothing.
      return { kind: "vectors", width, values: new Float32Array(new Uint8Array(vectors).buffer) };
    }
    case "likelihood": {
      const { logprobs, greedy } = result;
      if (logprobs.length !== batch.targets || greedy.length !== batch.targets) {
        throw corrupt(`${logprobs.length} log-probabilities of ${batch.targets} tokens`);
      }
      return { kind: "likelihood", logprobs: Float32Array.from(logprobs), greedy: Uint8Array.from(greedy, Number) };
    }
    case "generation": {
      const { generated } = result;
      if (generated.length !== batch.examples) throw corrupt(`${generated.length} of ${batch.examples} continuations`);
      const tokens = generated.map((one) => Uint32Array.from(one.tokens));
      if (tokens.some((one) => one.length > measure.maxNewTokens)) {
        throw corrupt(`a continuation of more than ${quote(String(measure.maxNewTokens))} tokens`);
      }
      return { kind: "generation", tokens };
    }
  }
}
