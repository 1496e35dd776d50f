import type { Hash } from "node:crypto";
import { planBatches } from "../text/batches.js";
import { longestOf, padBatch, type Tokens } from "../text/pad.js";
import type { Encoded } from "../text/tokenizer.js";
import type { Task } from "../types.js";
import type { ExampleInputs } from "./run.js";

/** Texts as inputs of a graph. `inputs`: the names of those that it has. */
export function textInputs(
  task: Pick<Task, "batchExamples" | "batchTokens">,
  sequences: readonly Encoded[],
  options: {
    readonly pad: number;
    readonly inputs: ReadonlySet<string>;
    /** @default "right" */
    readonly side?: "left" | "right";
    /** Tokens that are generated for each example, on top of its own. @default 0 */
    readonly more?: number;
  },
): ExampleInputs {
  const { pad, inputs, side = "right", more = 0 } = options;
  const packed = sequences.map(pack);
  const of = (examples: readonly number[]): readonly Tokens[] => examples.flatMap((example) => packed[example] ?? []);
  const limits = { examples: task.batchExamples, tokens: task.batchTokens, runs: 1 + more };
  return {
    batches: planBatches(
      sequences.map(({ ids }) => ids.length + more),
      limits,
    ),
    sizeOf(examples) {
      const time = longestOf(of(examples));
      const tensors = inputs.has("token_type_ids") ? 3 : 2;
      return {
        cost: examples.length * (time + more),
        bytes: tensors * Int32Array.BYTES_PER_ELEMENT * examples.length * time,
      };
    },
    load: async (examples) => padBatch(of(examples), { side, pad, inputs }),
    addTo(hash) {
      for (const sequence of packed) addSequence(hash, sequence);
    },
  };
}

/** Four bytes a token instead of sixteen: the tokens of all models and tasks are kept until the end. */
function pack({ ids, types }: Encoded): Tokens {
  return { ids: Int32Array.from(ids), types: types.some((type) => type !== 0) ? Int32Array.from(types) : undefined };
}

export function addSequence(hash: Hash, { ids, types }: Tokens): void {
  hash.update(Int32Array.of(ids.length)).update(Int32Array.from(ids));
  hash.update(Int32Array.from(types ?? new Int32Array(ids.length)));
}
