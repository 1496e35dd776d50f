import type { Change } from "../../shared/bus/bus.js";
import {
  isOver,
  type JobRecord,
  jobRecord,
  keys,
  type ProgressRecord,
  parseRecord,
  progressRecord,
} from "../../shared/cluster/records.js";
import { unitsRecord } from "../../shared/cluster/units-record.js";
import type { LiveNode } from "../cluster/liveness.js";
import { type Board, limits } from "./board.js";
import type { JobView } from "./types.js";
import { jobView } from "./views.js";

/** Jobs of which anything is kept, those that are not shown included. */
const maxKnown = 10 * limits.jobs;

/** The jobs of a cluster, how far they are and their units, kept on a board. Those that are worked on are shown before others. */
export class KnownJobs {
  readonly #board: Board;
  /** Undefined: who is alive is not known now. */
  readonly #alive: () => readonly LiveNode[] | undefined;
  /** By key, without recipes: they may be long, and are read again when somebody looks at one. */
  readonly #records = new Map<string, JobRecord>();
  readonly #progress = new Map<string, ProgressRecord>();
  #isCrowded = false;

  constructor(board: Board, alive: () => readonly LiveNode[] | undefined) {
    this.#board = board;
    this.#alive = alive;
  }

  get leftOut(): number {
    return Math.max(0, this.#records.size - limits.jobs);
  }

  viewOf(record: JobRecord): JobView {
    return jobView(record, this.#progress.get(keys.job(record.id)), this.#alive());
  }

  hear({ key, value }: Change): void {
    const record = parseRecord(jobRecord, value);
    if (record === undefined || keys.job(record.id) !== key) {
      this.#forget(key);
      return;
    }
    const { recipe, ...request } = record.request;
    const short = { ...record, request: { ...request, recipe: { ...recipe, text: "" } } };
    this.#records.set(key, short);
    if (this.#isShown(short) || this.#records.size <= limits.jobs) this.#show(short);
    else this.#isCrowded = true;
  }

  hearProgress({ key, value }: Change): void {
    const job = key.replace("progress.", "jobs.");
    const record = this.#records.get(job);
    const progress = parseRecord(progressRecord, value);
    if (progress === undefined || record === undefined) this.#progress.delete(job);
    else this.#progress.set(job, progress);
    if (record !== undefined && this.#isShown(record)) this.#show(record);
  }

  hearUnits({ key, value }: Change): void {
    const id = this.#records.get(key.replace("units.", "jobs."))?.id;
    if (id === undefined) return;
    const units = parseRecord(unitsRecord, value);
    if (units === undefined) this.#board.delete("units", id);
    else if (this.#board.get("units", id) !== undefined || this.#makeRoomForUnits())
      this.#board.set("units", id, units);
  }

  /** Others are alive than before. */
  livesChanged(): void {
    for (const record of this.#records.values()) {
      if (!isOver(record.state) && this.#isShown(record)) this.#show(record);
    }
  }

  /** Chooses anew what is shown where there is more than there is room for. Whether it did. */
  look(): boolean {
    if (!this.#isCrowded) return false;
    this.#isCrowded = false;
    const order = [...this.#records.entries()].sort(([, a], [, b]) => {
      return rankOf(a) - rankOf(b) || (a.submittedAt < b.submittedAt ? 1 : -1);
    });
    for (const [, { id }] of order.slice(limits.jobs)) this.#hide(id);
    for (const [, record] of order.slice(0, limits.jobs)) this.#show(record);
    for (const [key] of order.slice(maxKnown)) this.#forget(key);
    return true;
  }

  #isShown({ id }: JobRecord): boolean {
    return this.#board.get("jobs", id) !== undefined;
  }

  #show(record: JobRecord): void {
    this.#board.set("jobs", record.id, this.viewOf(record));
  }

  #hide(id: string): void {
    this.#board.delete("jobs", id);
    this.#board.delete("units", id);
  }

  #forget(key: string): void {
    const before = this.#records.get(key);
    if (before === undefined) return;
    // There may be one that has room now.
    this.#isCrowded ||= this.leftOut > 0;
    this.#records.delete(key);
    this.#progress.delete(key);
    this.#hide(before.id);
  }

  /** Units of a job that is over make room for those of another one, the oldest first; those of others stay. */
  #makeRoomForUnits(): boolean {
    if (this.#board.count("units") < limits.units) return true;
    const over = this.#board.keys("units").find((id) => isOver(this.#board.get("jobs", id)?.state ?? "done"));
    if (over !== undefined) this.#board.delete("units", over);
    return over !== undefined;
  }
}

/** Those that are led come first, then those that wait for somebody to lead them. */
function rankOf({ state }: JobRecord): number {
  if (isOver(state)) return 2;
  return state === "queued" ? 1 : 0;
}
