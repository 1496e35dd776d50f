import type { ClusterEvent, JobRecord, JobState, ProgressRecord } from "../../shared/cluster/records.js";
import type { UnitsRecord } from "../../shared/cluster/units-record.js";
import type { Registry } from "./registry.js";

/** Carries one job out, from whatever state its journal is in. Rejects with why it could not. */
export type LeadJob = (lead: Lead) => Promise<LeadResult>;

/** A job in the hands of this coordinator. */
export interface Lead {
  /** As it was when this lead began. */
  readonly record: JobRecord;
  /** Of the lease. Grows when the engine lost its data. The fence of RPCs is the staging directory's generation instead. */
  readonly epoch: number;
  /**
   * Aborted with `fenced` when somebody else leads by now, with `canceled` when the job was canceled or this coordinator
   * shuts down. Stop and reject; what becomes of the job's record is not the lead's to say.
   */
  readonly signal: AbortSignal;
  readonly registry: Registry;
  /**
   * To be awaited before every step that cannot be taken back. Resolves while the lease is surely ours; waits while the
   * engine does not answer; rejects with the signal's reason.
   */
  assertLeading(): Promise<void>;
  /**
   * Says where the job is. Returns when it is told, or known not to be told for now: it is told again later, so that an
   * outage of the engine stops no work. Rejects only with `fenced`.
   */
  setState(state: LeadState, fields?: LeadFields): Promise<void>;
  /** Gives the job into other hands though the lead may never come back, as when its storage hangs. */
  abandon(why: string): void;
  /** At most one a second is told, the latest. `units` makes what is shown of them, when it is told. */
  progress(progress: ProgressRecord, units?: () => UnitsRecord): void;
  /** Tells the cluster's event stream, under the job's id, and the log. */
  event(level: ClusterEvent["level"], type: string, message: string, fields?: ClusterEvent["fields"]): void;
}

/** The states between the beginning and the end, which are the lead's to choose. */
export type LeadState = Exclude<JobState, "queued" | "done" | "failed" | "canceled">;

export interface LeadFields {
  /** Why it waits. */
  readonly reason?: string;
  readonly digest?: string;
}

export interface LeadResult {
  readonly digest?: string;
  /** The job is sound and cannot be led here: why. It goes back to the queue, for another coordinator. */
  readonly elsewhere?: string;
  /**
   * Removes what the job left on its way. Called when it is on record that the job is done: until then, a next leader may
   * have use for it. What it fails with is told and changes nothing.
   */
  readonly tidyUp?: () => Promise<void>;
}
