import type { Holder } from "./read-holder.js";

/** By what right a cluster's coordinator works: its lease on a job, which is at most one coordinator's at a time. */
export interface Authority {
  readonly job: string;
  /** Grows at every change of hands of the lease. */
  readonly epoch: number;
}

/** Padded, so that every beat overwrites the one before it whole. */
const paddedBytes = 768;

export function formatHolder(holder: Holder): string {
  return `${JSON.stringify(holder).padEnd(paddedBytes)}\n`;
}
