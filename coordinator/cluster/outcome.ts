import type { JobRecord } from "../../shared/cluster/records.js";
import type { AmalgamError } from "../../shared/errors.js";
import { moved } from "./job-states.js";

/** How a lead ended. */
export type Settled = { readonly digest?: string } | AmalgamError;

/** Why its signal was aborted, if it was. */
export type Interruption = "lost" | "cancel" | "shutdown" | undefined;

/**
 * What becomes of a job's record when its lead ended: an end, the queue again, or, undefined, nothing that we may write.
 * Infrastructure that failed is no reason for a job to fail.
 */
export function outcomeOf(
  record: JobRecord,
  settled: Settled,
  interruption: Interruption,
  at: string,
): JobRecord | undefined {
  if (interruption === "lost") return undefined;
  const ended = { endedAt: at };
  if (!(settled instanceof Error)) {
    const digest = settled.digest ?? record.digest;
    return moved(record, "done", { ...ended, ...(digest !== undefined && { digest }) });
  }
  if (interruption === "shutdown") return inOrder(record);
  if (interruption === "cancel") return moved(record, "canceled", ended);
  // The storage knows another leader, though the lease is ours: whoever takes the job next gets ahead of both.
  if (settled.code === "fenced") return undefined;
  if (settled.code === "bus_failed") return inOrder(record);
  return moved(record, "failed", { ...ended, code: settled.code, reason: settled.message.slice(0, maxReasonLength) });
}

/** Back to the queue, by a coordinator that is well. */
function inOrder(record: JobRecord): JobRecord {
  return { ...moved(record, "queued"), startsWell: record.starts };
}

/** What a job's record takes. */
const maxReasonLength = 10_000;

/** Starts that came to nothing, one after another, after which a job counts as what brings coordinators down. */
export const maxLostStarts = 5;

/** Why a job is not to be led again; undefined: it is. */
export function refusalOf(record: JobRecord): string | undefined {
  const lost = record.starts - (record.startsWell ?? 0);
  if (lost < maxLostStarts) return undefined;
  return `It brought down ${lost} coordinators, one after another, before anything was done; look at their logs, then submit it again`;
}
