import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import type { Rope } from "../blocks/rope.js";

/** A decoder of the Llama kind as data: what its families differ in, and nothing that they share. */
export interface Decoder {
  /** As config.json's `model_type` has it. */
  readonly family: string;
  readonly vocabulary: number;
  readonly width: number;
  readonly maxTokens: number;
  readonly layers: readonly DecoderLayer[];
  readonly attention: DecoderAttention;
  readonly norm: Norm;
  /** Norms of a layer by their names in the checkpoint; those after attention and MLP are Gemma's from 2 on. */
  readonly norms: {
    readonly beforeAttention: string;
    readonly afterAttention?: string;
    readonly beforeMlp: string;
    readonly afterMlp?: string;
  };
  readonly mlp: Mlp;
  /** Multiplies embeddings. @default 1 */
  readonly embeddingScale?: number;
  /** c of c · tanh(logits / c). @default 0, for none */
  readonly logitSoftcap?: number;
  /** Whether the head's weight is the embedding's, unless the checkpoint has one of its own. */
  readonly tied: boolean;
}

/** What layers of one model may differ in. */
export interface DecoderLayer {
  /** How many tokens a query sees, its own among them; all that came before where it is undefined. */
  readonly window: number | undefined;
  readonly rope: Rope;
}

export interface DecoderAttention {
  readonly heads: number;
  /** Of keys and of values: a divisor of `heads`. */
  readonly keyHeads: number;
  /** Of one head. */
  readonly headWidth: number;
  /** Of the scores. */
  readonly scale: number;
  /** c of c · tanh(scores / c). @default 0, for none */
  readonly softcap?: number;
  /** One matrix for all three, or one for each. */
  readonly projections: "qkv_proj" | "q_proj, k_proj, v_proj";
  /** Which projections have a bias. */
  readonly bias: { readonly input: boolean; readonly output: boolean };
  /** Whether heads of queries and of keys are normed, with `q_norm` and `k_norm`. @default false */
  readonly normsHeads?: boolean;
}

/** RMSNorm's ε, and what is added to its weight: Gemma stores weights less one. */
export interface Norm {
  readonly epsilon: number;
  readonly offset: 0 | 1;
}

/**
 * The part of a layer that works on each token by itself: x of [tokens, width] to the same. `layer` is the layer's name in
 * the checkpoint, as in `model.layers.3`, and `number` is its number.
 */
export type Mlp = (g: GraphBuilder, x: Value, layer: string, number: number) => Value;
