import type { Staging } from "../assemble/staging.js";
import type { Plan } from "../plan/types.js";

/**
 * A place on a server that an output goes to instead of into a folder. The work on it stays on a file system, in a staging
 * directory as for every output; what a file system does by one rename, a sink does by a marker that it writes last.
 */
export interface Sink {
  /** Where, without secrets. */
  readonly url: string;
  /**
   * Whether the plan's output is there already, whole. Fails with `output_refused` when something else is, or when the
   * server does not let us write; with `overwrite`, another output of ours may be there.
   */
  readonly isComplete: (plan: Plan, options: SinkOptions) => Promise<boolean>;
  /**
   * Begins to send staged files as they become whole, or goes on from what an earlier process sent. Fails with
   * `output_refused` when the server does not let us write, before any work is done.
   */
  readonly open: (staging: Staging, options: SinkOptions) => Promise<Delivery>;
}

export interface SinkOptions {
  readonly overwrite: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** An output on its way. Disposing stops it and keeps what was sent, for the next run to go on from. */
export interface Delivery extends AsyncDisposable {
  readonly url: string;
  /**
   * Shows the output: sends what is not there yet of the staged files, which are complete and checked, and the marker last.
   * `assertOurs` is called before every step that others can see. Fails with `chunk_corrupt` when staged bytes are not
   * those that were merged any more; then they are missing again, see `Staging.finish()`.
   */
  readonly publish: (options: PublishOptions) => Promise<void>;
  /** Takes back what was sent and is not part of an output. */
  readonly abandon: () => Promise<void>;
}

export interface PublishOptions {
  /** Called with how much of the staged files the server has, in bytes, as that grows. @default nothing */
  readonly onSent?: ((sent: number, bytes: number) => void) | undefined;
  readonly assertOurs: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}
