import type { Change } from "../../shared/bus/bus.js";
import { type JobRecord, jobRecord, keys, parseRecord } from "../../shared/cluster/records.js";
import { isOpen } from "./job-states.js";
import { LeaseWatch } from "./lease-state.js";

/** How long a job that was just submitted is left to whom the queue gives it. */
const queueMs = 5_000;

interface OpenJob {
  readonly id: string;
  readonly watch: LeaseWatch;
  dueMs: number;
  /** Left to other coordinators until then, also when the queue gives it to us. */
  declinedUntilMs: number;
  isCanceled: boolean;
}

/** The jobs that are not over, as a coordinator that may have to take them sees them. */
export class OpenJobs {
  readonly #jobs = new Map<string, OpenJob>();

  /** The id of the job that changed; undefined for one that is none of ours to know. */
  hear({ key, value }: Change, nowMs: number): string | undefined {
    const id = this.#jobs.get(key)?.id;
    if (value === undefined) this.#jobs.delete(key);
    const record = parseRecord(jobRecord, value);
    if (record !== undefined) this.note(record, nowMs);
    return record?.id ?? id;
  }

  note(record: JobRecord, nowMs: number): void {
    const { id, cancel, starts } = record;
    const known = this.#jobs.get(keys.job(id));
    if (!isOpen(record)) this.forget(id);
    else if (known !== undefined) known.isCanceled = cancel;
    else {
      // One that was led before may have lost its leader: its lease is watched from now on.
      const dueMs = starts === 0 ? nowMs + queueMs : nowMs;
      this.#jobs.set(keys.job(id), {
        id,
        dueMs,
        declinedUntilMs: -Infinity,
        isCanceled: cancel,
        watch: new LeaseWatch(),
      });
    }
  }

  forget(id: string): void {
    this.#jobs.delete(keys.job(id));
  }

  watchOf(id: string): LeaseWatch {
    return this.#jobs.get(keys.job(id))?.watch ?? new LeaseWatch();
  }

  /** Nothing to be done about it before. */
  defer(id: string, untilMs: number): void {
    const job = this.#jobs.get(keys.job(id));
    if (job !== undefined) job.dueMs = untilMs;
  }

  /** Others are to have it: it cannot be led here. */
  decline(id: string, untilMs: number): void {
    const job = this.#jobs.get(keys.job(id));
    if (job === undefined) return;
    job.dueMs = untilMs;
    job.declinedUntilMs = untilMs;
  }

  isDeclined(id: string, nowMs: number): boolean {
    return (this.#jobs.get(keys.job(id))?.declinedUntilMs ?? -Infinity) > nowMs;
  }

  /** Jobs to look at now, those that wait longest first. Canceled ones are always due: to end them takes no time. */
  due(nowMs: number, hasRoom: boolean): readonly string[] {
    return [...this.#jobs.values()]
      .filter(({ dueMs, isCanceled }) => isCanceled || (hasRoom && dueMs <= nowMs))
      .sort((left, right) => left.dueMs - right.dueMs)
      .map(({ id }) => id);
  }
}
