import type { JobRecord } from "../../shared/cluster/records.js";
import type { AmalgamError } from "../../shared/errors.js";
import { moved } from "./job-states.js";
import type { LeadResult } from "./lead.js";

/** How a lead ended. */
export type Settled = LeadResult | AmalgamError;

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
  if (!(settled instanceof Error) && settled.elsewhere === undefined) {
    const digest = settled.digest ?? record.digest;
    return moved(record, "done", { ...ended, ...(digest !== undefined && { digest }) });
  }
  if (interruption === "shutdown") return inOrder(record);
  if (interruption === "cancel") return moved(record, "canceled", ended);
  if (!(settled instanceof Error)) return inOrder(record, settled.elsewhere);
  // `fenced`: the storage knows another leader, though the lease is ours. Whoever takes the job next gets ahead of both.
  if (settled.code === "fenced" || settled.code === "bus_failed") return inOrder(record);
  return moved(record, "failed", { ...ended, code: settled.code, reason: shortened(settled.message) });
}

/** Back to the queue, by a coordinator that is well. */
function inOrder(record: JobRecord, reason?: string): JobRecord {
  const fields = reason === undefined ? {} : { reason: shortened(reason) };
  return { ...moved(record, "queued", fields), startsWell: record.starts };
}

function shortened(reason: string): string {
  return reason.slice(0, maxReasonLength);
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
