import { maxInputBytes } from "./target.js";

/** What the main thread gives the one that fuzzes. */
export interface FuzzTask {
  readonly target: string;
  readonly seed: number;
  readonly minutes: number;
  /** How many inputs have begun, then how long the latest is, then its bytes: seen from outside when it never ends. */
  readonly latest: SharedArrayBuffer;
}

export const latestBytes = 8 + maxInputBytes;

/** What the thread that fuzzes says. */
export type FuzzMessage =
  | { readonly type: "figures"; readonly text: string }
  | { readonly type: "finding"; readonly message: string; readonly stack: string; readonly input: Uint8Array }
  /** From here on there are no inputs to watch. */
  | { readonly type: "distilling" }
  | { readonly type: "done"; readonly kept: number };
