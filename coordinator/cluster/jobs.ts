import { randomBytes } from "node:crypto";
import { basename } from "node:path";
import type { Bus, Entry } from "../../shared/bus/bus.js";
import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import {
  isOver,
  type JobRecord,
  type JobRequest,
  jobRecord,
  keys,
  maxNameLength,
  parseRecord,
} from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

/** Tries of one change, when others change the record at the same moment. */
const maxChanges = 10;
/** Tries of one operation that the engine does not answer. */
const maxAttempts = 3;
/** Pause after the first of these, doubled each time. */
const firstPauseMs = 100;
/** Longest part of an output's name in a job's id. */
const maxStemLength = 40;

/** `merged-7f3a9c`: the output's name, as far as it fits into a word that people type, and something random. */
export function newJobId(output: string, random: string = randomBytes(3).toString("hex")): string {
  const stem = basename(output)
    .replace(/[^A-Za-z0-9-]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, maxStemLength)
    .replace(/-+$/, "");
  return `${stem === "" ? "job" : stem}-${random}`;
}

/** Who submits a job, and when. */
export interface Submission {
  readonly id: string;
  readonly by: string;
  /** @default now */
  readonly at?: string;
  /** W3C trace context that the job is a part of. */
  readonly traceparent?: string | undefined;
}

/** The records of jobs in the engine. All fail with `bus_failed` when it does not answer, after a few tries. */
export class JobStore {
  readonly #bus: Bus;
  readonly #clock: Clock;

  constructor(bus: Bus, clock: Clock = systemClock) {
    this.#bus = bus;
    this.#clock = clock;
  }

  /** Writes the record, then tells the coordinators. `usage` when the id is in use. */
  async submit(
    request: JobRequest,
    { id, by, at = new Date().toISOString(), traceparent }: Submission,
  ): Promise<JobRecord> {
    const record: JobRecord = {
      id,
      request,
      state: "queued",
      cancel: false,
      starts: 0,
      submittedBy: by,
      submittedAt: at,
      ...(traceparent !== undefined && { traceparent }),
    };
    const value = JSON.stringify(record);
    await this.#insist(async () => {
      if ((await this.#bus.state.create(keys.job(id), value)) !== undefined) return;
      // Created by an earlier try whose answer was lost, perhaps taken up by a coordinator since.
      const found = await this.get(id);
      if (found?.submittedAt === at && found.submittedBy === by) return;
      throw new AmalgamError("usage", `Cannot submit job ${quote(id)}: there is one of that name`);
    });
    try {
      await this.#insist(() => this.#bus.jobs.publish(id, id));
    } catch (error) {
      // The record is there, and coordinators look for records that nobody told them of.
      if (AmalgamError.from(error).code !== "bus_failed") throw error;
    }
    return record;
  }

  async get(id: string): Promise<JobRecord | undefined> {
    // What stands in the queue may be anything, and a key of it too large to ask for.
    if (id.length > maxNameLength) return undefined;
    return readJob(await this.#insist(() => this.#bus.state.get(keys.job(id))));
  }

  /** Oldest first. */
  async list(): Promise<readonly JobRecord[]> {
    const entries = await this.#insist(() => this.#bus.state.entries("jobs."));
    return entries
      .flatMap((entry) => readJob(entry) ?? [])
      .sort((left, right) => compare(left.submittedAt, right.submittedAt) || compare(left.id, right.id));
  }

  /**
   * Reads, edits, compares and sets, until it took effect. `edit` may be called several times, the last time on what then
   * stands; undefined leaves it as it is. Returns the record as it is then, undefined when there is none.
   */
  change(id: string, edit: (record: JobRecord) => JobRecord | undefined): Promise<JobRecord | undefined> {
    return this.#insist(async () => {
      for (let tries = 0; tries < maxChanges; tries += 1) {
        const entry = await this.#bus.state.get(keys.job(id));
        const record = readJob(entry);
        if (entry === undefined || record === undefined) return undefined;
        const edited = edit(record);
        if (edited === undefined) return record;
        const revision = await this.#bus.state.update(keys.job(id), JSON.stringify(edited), entry.revision);
        if (revision !== undefined) return edited;
      }
      throw new AmalgamError("bus_failed", `Cannot change job ${quote(id)}: others keep changing it`);
    });
  }

  /** Asks for the end of a job; whoever leads it sees to it. Undefined: no such job. One that is over stays as it is. */
  requestCancel(id: string): Promise<JobRecord | undefined> {
    return this.change(id, (record) =>
      isOver(record.state) || record.cancel ? undefined : { ...record, cancel: true },
    );
  }

  async #insist<T>(act: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await act();
      } catch (error) {
        if (AmalgamError.from(error).code !== "bus_failed" || attempt === maxAttempts) throw error;
        await sleep(this.#clock, firstPauseMs * 2 ** (attempt - 1));
      }
    }
  }
}

export function readJob(entry: Entry | undefined): JobRecord | undefined {
  return parseRecord(jobRecord, entry?.value);
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
