import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import type { DecoderInputs, DecoderOutputs } from "./transformer.js";

/** A model that predicts the next token, as its graphs need to know it, whatever its layers are made of. */
export interface LanguageModel {
  /** As config.json's `model_type` has it. */
  readonly family: string;
  readonly vocabulary: number;
  readonly width: number;
  readonly maxTokens: number;
  /** As many as it has layers. */
  readonly layers: readonly unknown[];
  /** Of keys and of values, in every layer. */
  readonly attention: { readonly keyHeads: number; readonly headWidth: number };
  /** Whether the head's weight is the embedding's. */
  readonly tied: boolean;
  /** c of c · tanh(logits / c). @default 0, for none */
  readonly logitSoftcap?: number;
  readonly names: {
    /** The embedding's, without what stands before it. */
    readonly embedding: string;
    /** What may stand before the names of all tensors but a head's. The first one that the checkpoint has is taken. */
    readonly prefixes: readonly string[];
  };
  /** All layers, and the norm after them. `prefix` is one of those above. */
  decode(g: GraphBuilder, prefix: string, inputs: DecoderInputs): DecoderOutputs;
  /** What each layer is given, the embedding first: [batch, time, width] each. Not every family can be looked into. */
  layerInputs?(g: GraphBuilder, prefix: string, inputs: DecoderInputs): readonly Value[];
}
