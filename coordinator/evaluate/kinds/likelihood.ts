import type { ModelGraphs } from "../../graphs/types.js";
import { planBatches } from "../text/batches.js";
import type { Continuation } from "../text/continuation.js";
import { longestOf, padBatch } from "../text/pad.js";
import type { Encoded } from "../text/tokenizer.js";
import type { Task } from "../types.js";
import { endsOf } from "./graph-ends.js";
import type { Part, Target } from "./run.js";
import { addSequence, textInputs } from "./text-inputs.js";

/**
 * Continuations for a decoder, as lm-evaluation-harness feeds them: what does not fit is cut from the left, and the last
 * token is only predicted. A context has one token at least.
 */
export function decoderPart(
  task: Task,
  sequences: readonly Continuation[],
  options: { readonly pad: number; readonly maxTokens: number; readonly graphs: ModelGraphs },
): Part {
  const { pad, maxTokens, graphs } = options;
  const fed = sequences.map(({ context, continuation }) => {
    return withoutTypes([...context, ...continuation].slice(-(maxTokens + 1)).slice(0, -1));
  });
  const targets = sequences.map(({ continuation }, i): Target => {
    return { first: (fed[i]?.ids.length ?? 0) - continuation.length, tokens: continuation };
  });
  const { inputs } = endsOf(graphs.graphs.body);
  return {
    measure: { kind: "likelihood" },
    inputs: textInputs(task, fed, { pad, inputs }),
    targets,
    timeOf: (examples) => longestOf(pick(fed, examples)),
  };
}

/** Continuations for an encoder-decoder: the encoder reads the context, the decoder predicts the continuation. */
export function seq2seqPart(
  task: Task,
  sequences: readonly Continuation[],
  options: { readonly pad: number; readonly maxTokens: number; readonly graphs: ModelGraphs },
): Part {
  const { pad, maxTokens, graphs } = options;
  const start = graphs.decoderStart ?? pad;
  const contexts = sequences.map(({ context }) => withoutTypes(context.slice(-maxTokens)));
  const decoded = sequences.map(({ continuation }) => withoutTypes([start, ...continuation.slice(0, -1)]));
  const lengths = contexts.map(({ ids }, i) => ids.length + (decoded[i]?.ids.length ?? 0));
  const { inputs } = endsOf(graphs.graphs.body);
  const timeOf = (examples: readonly number[]): number => longestOf(pick(decoded, examples));
  return {
    measure: { kind: "likelihood" },
    inputs: {
      batches: planBatches(lengths, { examples: task.batchExamples, tokens: task.batchTokens }),
      sizeOf: (examples) => {
        const cost = examples.length * (longestOf(pick(contexts, examples)) + timeOf(examples));
        return { cost, bytes: 2 * Int32Array.BYTES_PER_ELEMENT * cost };
      },
      load: async (examples) => {
        const options = { side: "right", pad, inputs } as const;
        const encoder = padBatch(pick(contexts, examples), options);
        const decoder = padBatch(pick(decoded, examples), { ...options, prefix: "decoder_" });
        return new Map([...encoder, ...decoder]);
      },
      addTo: (hash) => {
        for (const sequence of [...contexts, ...decoded]) addSequence(hash, sequence);
      },
    },
    targets: sequences.map(({ continuation }) => ({ first: 0, tokens: continuation })),
    timeOf,
  };
}

function withoutTypes(ids: readonly number[]): Encoded {
  return { ids, types: new Array<number>(ids.length).fill(0) };
}

function pick<T>(values: readonly T[], examples: readonly number[]): readonly T[] {
  return examples.flatMap((example) => values[example] ?? []);
}
