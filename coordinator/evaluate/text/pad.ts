import type { InputTensor } from "../types.js";

/** A text's tokens, packed or not. */
export interface Tokens {
  readonly ids: readonly number[] | Int32Array;
  /** Undefined: all 0. */
  readonly types: readonly number[] | Int32Array | undefined;
}

export interface PadOptions {
  /** Where padding stands: on the left of what is continued, on the right of all else. */
  readonly side: "left" | "right";
  readonly pad: number;
  /** The inputs that the graph has. Those of texts that are not among them are left out. */
  readonly inputs: ReadonlySet<string>;
  /** Put before the names: `decoder_` for what a decoder of its own reads. @default "" */
  readonly prefix?: string;
}

/** Tokens as inputs of a text graph, [examples, longest]: `input_ids`, `attention_mask` and `token_type_ids`. */
export function padBatch(
  sequences: readonly Tokens[],
  { side, pad, inputs, prefix = "" }: PadOptions,
): ReadonlyMap<string, InputTensor> {
  const time = longestOf(sequences);
  const shape = [sequences.length, time];
  const ids = new Int32Array(sequences.length * time).fill(pad);
  const mask = new Int32Array(ids.length);
  const types = new Int32Array(ids.length);
  for (const [row, sequence] of sequences.entries()) {
    const start = row * time + (side === "left" ? time - sequence.ids.length : 0);
    ids.set(sequence.ids, start);
    if (sequence.types !== undefined) types.set(sequence.types, start);
    mask.fill(1, start, start + sequence.ids.length);
  }
  const tensors: readonly (readonly [string, Int32Array])[] = [
    [`${prefix}input_ids`, ids],
    [`${prefix}attention_mask`, mask],
    [`${prefix}token_type_ids`, types],
  ];
  return new Map(
    tensors
      .filter(([name]) => inputs.has(name))
      .map(([name, data]) => [name, { dtype: "I32", shape, data: new Uint8Array(data.buffer) }]),
  );
}

export function longestOf(sequences: readonly Tokens[]): number {
  return sequences.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
}
