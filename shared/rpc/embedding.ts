import type { ErrorCode } from "../errors.js";

/**
 * What an agent that was started as a thread or a child process tells its parent, once: that it listens, or why it does
 * not. It ends when told to, and when the parent is gone.
 */
export type FromEmbeddedAgent =
  | { readonly type: "listening"; readonly address: string }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string };

export type ToEmbeddedAgent =
  /** The words of its command line, for one that was started without any: it has loaded its modules meanwhile. */
  { readonly type: "serve"; readonly argv: readonly string[] } | { readonly type: "close" };
