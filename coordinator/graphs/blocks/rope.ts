import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";

/** Rotary position embedding (Su et al., 2021), with the first half of a head's rotated part paired with the second. */
export interface Rope {
  /** How many of a head's elements, from the first on, are rotated. */
  readonly width: number;
  readonly frequencies: RopeFrequencies;
  /** Multiplies sines and cosines; 1 for most. */
  readonly scale: number;
}

/**
 * Radians per position, one for each pair: `width` / 2 of them. They may depend on how long the text is:
 *
 * - `fixed`: they do not.
 * - `longrope`: one set up to `original` tokens, another above (Ding et al., 2024).
 * - `dynamic`: θ grows with the text from `original` tokens on ("dynamic NTK").
 *
 * Each text of a batch goes by its own length, so that its numbers do not depend on what it is batched with; transformers
 * takes the longest of the batch. While tokens are generated, cached keys keep the rotation they were given.
 */
export type RopeFrequencies =
  | { readonly kind: "fixed"; readonly radians: readonly number[] }
  | {
      readonly kind: "longrope";
      readonly short: readonly number[];
      readonly long: readonly number[];
      readonly original: number;
    }
  | { readonly kind: "dynamic"; readonly theta: number; readonly factor: number; readonly original: number };

/** Cosines and sines for the tokens of a batch, each [batch, time, width / 2]: made once for all layers. */
export interface Rotation {
  readonly cosines: Value;
  readonly sines: Value;
  readonly width: number;
}

/** `positions` is [batch, time] INT64 and `mask` [batch, past + time], which has the length of each text. */
export function rotation(g: GraphBuilder, rope: Rope, positions: Value, mask: Value): Rotation {
  const at = g.op("Cast", [g.op("Unsqueeze", [positions, g.constant("INT64", [2])])], { to: 1 });
  const angles = g.op("Mul", [at, frequenciesFor(g, rope, mask)]);
  const scaled = (x: Value) => (rope.scale === 1 ? x : g.op("Mul", [x, g.constant("FLOAT", rope.scale)]));
  return { cosines: scaled(g.op("Cos", [angles])), sines: scaled(g.op("Sin", [angles])), width: rope.width };
}

/** [width / 2], or [batch, 1, width / 2] where they depend on the text. */
function frequenciesFor(g: GraphBuilder, { width, frequencies }: Rope, mask: Value): Value {
  switch (frequencies.kind) {
    case "fixed":
      return g.constant("FLOAT", frequencies.radians, [width / 2]);
    case "longrope": {
      const isLong = g.op("Greater", [lengths(g, mask), g.constant("INT64", frequencies.original)]);
      const sets = [frequencies.long, frequencies.short].map((set) => g.constant("FLOAT", set, [width / 2]));
      return g.op("Where", [isLong, ...sets]);
    }
    case "dynamic": {
      const { theta, factor, original } = frequencies;
      const length = g.op("Max", [lengths(g, mask), g.constant("INT64", original)]);
      const ratio = g.op("Mul", [g.op("Cast", [length], { to: 1 }), g.constant("FLOAT", factor / original)]);
      const growth = g.op("Sub", [ratio, g.constant("FLOAT", factor - 1)]);
      const power = g.op("Pow", [growth, g.constant("FLOAT", width / (width - 2))]);
      const base = g.op("Mul", [power, g.constant("FLOAT", theta)]);
      const exponents = Array.from({ length: width / 2 }, (_, i) => (-2 * i) / width);
      return g.op("Pow", [base, g.constant("FLOAT", exponents)]);
    }
  }
}

/** The tokens of each text, [batch, 1, 1] INT64. */
function lengths(g: GraphBuilder, mask: Value): Value {
  const sums = g.op("ReduceSum", [mask, g.constant("INT64", [1])], { keepdims: 1 });
  return g.op("Unsqueeze", [sums, g.constant("INT64", [2])]);
}

/** Queries or keys, [batch, heads, time, width of a head], turned by their positions. */
export function rotate(g: GraphBuilder, x: Value, { cosines, sines, width }: Rotation): Value {
  return g.op("RotaryEmbedding", [x, cosines, sines], { rotary_embedding_dim: width });
}
