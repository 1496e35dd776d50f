import { maxMessageBytes } from "../../shared/rpc/channel.js";

// What one slice may ask for. A request is one message, so all its bytes together are below `maxMessageBytes` anyway.

export const limits = {
  /** Batches of a slice. */
  batches: 4_096,
  /** Examples that run together. */
  examples: 4_096,
  /** Inputs of a batch. */
  inputs: 16,
  /** Dimensions of an input. */
  rank: 6,
  /** Elements of an input: shape and data of at most a message. */
  elements: maxMessageBytes,
  /** Tokens of one batch whose likelihood is asked for. */
  targets: 1 << 20,
  /** Threads of a model. */
  threads: 1_024,
  /** Characters of a name. */
  name: 1_000,
  /** Weight files of a checkpoint. */
  sources: 10_000,
  /** Weights of a graph that have another name in the checkpoint. */
  bindings: 1_000_000,
  /** Slots of a step's cache: keys and values of every layer. */
  cache: 4_096,
  /** Heads of a slot, and the width of one. */
  cacheWidth: 65_536,
  /** Tokens that one example is continued by. */
  newTokens: 32_768,
  /** Tokens that end an example. */
  stop: 1_024,
  /** A batch's answer, so that it fits a message with room to spare. */
  resultBytes: maxMessageBytes / 2,
} as const;
