import { maxMessageBytes } from "../../shared/rpc/channel.js";

// What one trial may ask for besides what limits its pieces (check-request.ts of the agent) and its batches
// (evaluate/limits.ts). A request is one message, so all its bytes together are below `maxMessageBytes` anyway.

export const limits = {
  /** Weight files of a merged model. */
  files: 10_000,
  /** Tasks that a merged model is run on. */
  tasks: 1_024,
  /** Batches of all tasks. */
  batches: 65_536,
  /** Blobs of one message. */
  blobs: 65_536,
  /** Trials that may wait; coordinators send a few ahead. */
  queued: 256,
} as const;

/** Of a SHA-256. */
export const digestBytes = 32;

/** Blobs may take a quarter of the memory for trials: what is left has inputs and weights to hold. */
export const blobShare = 1 / 4;

/** Batches that go to the process that runs models at once, about: a copy of them is made on the way. */
export const partBytes = maxMessageBytes / 2;
