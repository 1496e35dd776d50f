import { isOver, type JobRecord, type JobState } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

/** Where a job can go from where it is. Ends are final; a job whose leader was lost is queued again from anywhere else. */
const moves: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: ["planning", "failed", "canceled"],
  planning: ["running", "waiting", "committing", "done", "failed", "canceled", "queued"],
  running: ["planning", "waiting", "committing", "done", "failed", "canceled", "queued"],
  waiting: ["planning", "running", "committing", "done", "failed", "canceled", "queued"],
  // Staged bytes that changed are computed once more.
  committing: ["running", "waiting", "done", "failed", "canceled", "queued"],
  done: [],
  failed: [],
  canceled: [],
};

export function canMove(from: JobState, to: JobState): boolean {
  return from === to || moves[from].includes(to);
}

/** The record in another state, with what is said along with it. Reasons and errors of the state before are dropped. */
export function moved(
  record: JobRecord,
  state: JobState,
  fields: Partial<Pick<JobRecord, "reason" | "code" | "digest" | "endedAt">> = {},
): JobRecord {
  if (!canMove(record.state, state)) {
    const message = `Cannot move job ${quote(record.id)} from "${record.state}" to "${state}"`;
    throw new AmalgamError("internal", message);
  }
  const { reason: _reason, code: _code, ...rest } = record;
  return { ...rest, state, ...fields };
}

/** Whether somebody has to do something about it. */
export function isOpen(record: JobRecord): boolean {
  return !isOver(record.state);
}
