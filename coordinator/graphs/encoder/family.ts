import type { ConfigReader } from "../config.js";

/** What tells one family of encoders from another: names of tensors, and a few traits. Names in it have no prefix. */
export interface EncoderFamily {
  /** What names of the model's own tensors begin with where a head stands beside it, as `bert.`; else nothing. */
  readonly prefix: string;
  /** The list of layers, as `encoder.layer`. */
  readonly layers: string;
  readonly layer: LayerNames;
  /** `input`: token types come with the tokens. `none`: all tokens have type 0. Undefined: there is no such table. */
  readonly tokenTypes?: "input" | "none";
  /** The linear layer that the first token goes through, then tanh. Undefined: the family has none. */
  readonly pooler?: string;
  readonly classifier: ClassifierNames;
  /** A relative bias of attention: its table, and the table's rows. */
  readonly relativeBias?: { readonly name: string; readonly buckets: number };
  sizes(config: ConfigReader): EncoderSizes;
}

/** Modules of a layer; each has a weight and a bias. */
export interface LayerNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly attentionOutput: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly outputNorm: string;
}

/** A classifier on the first token: a linear layer, an activation, and a linear layer to the classes. */
export interface ClassifierNames {
  /** `isPooler`: it is among the model's own tensors, so its name takes the prefix. */
  readonly first: { readonly name: string; readonly activation: string; readonly isPooler?: boolean };
  readonly last: string;
}

export interface EncoderSizes {
  readonly vocabulary: number;
  /** Of embeddings. Another one than `width` is projected to it. */
  readonly embeddingWidth: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Of the feed-forward layers. */
  readonly inner: number;
  readonly activation: string;
  /** Of LayerNorm. */
  readonly epsilon: number;
  /** Rows of the table of positions. */
  readonly positions: number;
  /** The row of the first token. */
  readonly firstPosition: number;
  /** Rows of the table of token types. */
  readonly tokenTypes: number;
}
