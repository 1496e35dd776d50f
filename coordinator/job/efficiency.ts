import type { JobResult } from "./types.js";

/**
 * The share of the time that went into moving bytes: what the same reads and writes alone would have taken on as many
 * threads, which no merge can go below, over what it took. Undefined where nobody measured it.
 */
export function efficiencyOf({
  ioSeconds,
  slots,
  seconds,
}: Pick<JobResult, "ioSeconds" | "slots" | "seconds">): number | undefined {
  return slots === 0 || seconds === 0 || ioSeconds === 0 ? undefined : Math.min(1, ioSeconds / slots / seconds);
}
