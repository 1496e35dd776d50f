import type { WeightBinding } from "../../shared/onnx/bind-weights.js";
import type { BuiltGraph } from "../../shared/onnx/graph-builder.js";

/**
 * A model as graphs that agents run. Tensors between them are named as below, and all are [batch, …] unless it says
 * otherwise. Hidden states inside a graph are [tokens, width], tokens = batch · time.
 *
 * | graph   | inputs | outputs |
 * |---|---|---|
 * | `body` of text | `input_ids` [batch, time] INT64, `attention_mask` alike (1: a token, 0: padding), `token_type_ids` alike where the model has them | one of those below |
 * | `body` of images | `pixel_values` [batch, channels, height, width] FLOAT | one of those below |
 * | `body` of T5 | the same and `decoder_input_ids` [batch, decoder time] INT64, `decoder_attention_mask` alike | `hidden` |
 * | `text`, `image` of CLIP | as `body` of text, of images | `vectors`, of the shared space, not normalized |
 * | `head` | `hidden` [rows, width], `targets` [rows] INT64 | `logprobs` [rows] FLOAT: the log-probability of the target; `best` [rows] INT64: the most likely token |
 * | `step` | `input_ids`, `attention_mask` [batch, past + time], `past/<i>` FLOAT | `hidden` [batch, time, width]; `present/<i>` |
 * | `encoder` of T5 | `input_ids`, `attention_mask` | `cross/<i>` FLOAT, the keys and values of cross-attention, and `encoder_attention_mask`: all of them are inputs of every `step`, under the same names |
 *
 * Outputs of a body: `hidden` [batch, time, width] (its last hidden states, after the last norm), `logits` [batch,
 * classes], `vectors` [batch, width] (a pooled embedding), or `layers` [batch, layers, width] (what each layer of a decoder
 * of the Llama kind is given, pooled: the embedding first, and not what the last layer makes).
 *
 * Positions follow from the attention mask: tokens count from 0, so padding may be on either side.
 */
export interface ModelGraphs {
  /** The family, as config.json's `model_type` has it. */
  readonly family: string;
  readonly kind: ModelKind;
  readonly graphs: Readonly<Partial<Record<GraphRole, ModelGraph>>>;
  /** Longest input that the positions allow. */
  readonly maxTokens: number | undefined;
  /** Tokens of the vocabulary, as the embedding has rows. */
  readonly vocabulary: number | undefined;
  /** Of an image model's input. */
  readonly image?: { readonly channels: number; readonly height: number; readonly width: number } | undefined;
  /** Of `past/<i>` and `present/<i>` of a step, without batch and time: [batch, heads, past, width]. */
  readonly cache?: readonly CacheSlot[];
  /** The token that a T5 decoder begins with. */
  readonly decoderStart?: number | undefined;
  /** What a classifier's outputs are called, where config.json says (`id2label`). */
  readonly labels?: readonly string[] | undefined;
  /** What the output `taps` of the body holds, where {@link GraphRequest.taps} asks for it. */
  readonly taps?: readonly Tap[];
}

/** The input of some linear layers: rows of `width` numbers, one for each token or, behind a pooling, for each example. */
export interface Tap {
  readonly width: number;
  readonly layers: readonly {
    /** The checkpoint's name of its matrix. */
    readonly weight: string;
    /** It is stored as [in, out], not [out, in]. */
    readonly transposed: boolean;
  }[];
}

/** A graph, and where its weights are in the checkpoint when not under their own names: in a user's export. */
export interface ModelGraph extends BuiltGraph {
  readonly bindings?: readonly WeightBinding[];
}

export type GraphRole = "body" | "head" | "step" | "encoder" | "text" | "image";

/**
 * `decoder`: predicts the next token. `encoder`: embeds text. `classifier`: text or an image to logits. `seq2seq`: T5.
 * `image-text`: CLIP.
 */
export type ModelKind = "decoder" | "encoder" | "classifier" | "seq2seq" | "image-text";

export interface CacheSlot {
  readonly heads: number;
  readonly width: number;
}

/** What graphs are to be built for. */
export interface GraphRequest {
  /** Parsed config.json. */
  readonly config: unknown;
  /** The checkpoint's tensors: names decide between forms of one architecture (prefixes, tied heads, biases). */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: string }>;
  /** For messages: the file that the config came from. */
  readonly configFile: string;
  /** Whether tokens are generated, so that a `step` is wanted. */
  readonly generates?: boolean;
  /** How an encoder's hidden states become one vector. */
  readonly pooling?: Pooling | undefined;
  /**
   * What will run the graphs. `cpu` allows operators that are fast there and that other providers may lack: attention
   * of decoders then takes a quarter of the memory for long texts, and a step of several tokens on a filled cache takes
   * one example only.
   * @default "any"
   */
  readonly provider?: "any" | "cpu" | undefined;
  /** What the body ends in. Default: as config.json's `architectures` says. */
  readonly output?: "hidden" | "logits" | "vectors" | "layers" | undefined;
  /** Whether the body also gives the inputs of its linear layers: see `withTaps()`. @default false */
  readonly taps?: boolean;
}

/** `mean` over tokens, the first token (`cls`), the last (`last`), or the model's own `pooler`. `normalize`: to length 1. */
export interface Pooling {
  readonly mode: "mean" | "cls" | "last" | "pooler";
  readonly normalize: boolean;
}

/** Builds graphs for one family of models. Throws `checkpoint_mismatch` for a config that it cannot follow. */
export type GraphFamily = (request: GraphRequest) => ModelGraphs;
