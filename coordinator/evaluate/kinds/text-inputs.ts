import type { Hash } from "node:crypto";
import { planBatches } from "../text/batches.js";
import { longestOf, padBatch } from "../text/pad.js";
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
    /** Tokens that come on top of each example's own, such as those that are generated. @default 0 */
    readonly more?: number;
  },
): ExampleInputs {
  const { pad, inputs, side = "right", more = 0 } = options;
  const of = (examples: readonly number[]): readonly Encoded[] =>
    examples.flatMap((example) => sequences[example] ?? []);
  const limits = { examples: task.batchExamples, tokens: task.batchTokens };
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
      for (const sequence of sequences) addSequence(hash, sequence);
    },
  };
}

export function addSequence(hash: Hash, { ids, types }: Encoded): void {
  hash.update(Int32Array.from([ids.length, ...ids, ...types]));
}
