import type { Bus } from "../../shared/bus/bus.js";
import { isOver, type JobRecord, keys } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { readJob } from "./jobs.js";

/**
 * What the leader of a job does about the record that it finds: nothing, write its own, or stop, for somebody else leads.
 * A record with fewer starts than ours is one that an engine with old data has.
 */
export function reconcile(ours: JobRecord, found: JobRecord | undefined): JobRecord | "same" | "fenced" {
  if (found === undefined) return ours;
  const isOurs = found.starts === ours.starts && found.leader === ours.leader;
  if (found.starts > ours.starts || (found.starts === ours.starts && !isOurs)) return "fenced";
  if (isOver(found.state)) return isOurs && found.state === ours.state ? "same" : "fenced";
  const well = Math.max(ours.startsWell ?? 0, found.startsWell ?? 0);
  const merged = { ...ours, cancel: ours.cancel || found.cancel, ...(well > 0 && { startsWell: well }) };
  return isOurs && sameFields(merged, found) ? "same" : merged;
}

function sameFields(left: JobRecord, right: JobRecord): boolean {
  const names = new Set([...Object.keys(left), ...Object.keys(right)]) as Set<keyof JobRecord>;
  return [...names].every((name) => name === "request" || left[name] === right[name]);
}

/**
 * The record of a job while this coordinator leads it. The number of starts is a fence of its own: everything is compared
 * and set, and once the next leader has written its start, a late write of this one is refused.
 */
export class LedRecord {
  readonly #bus: Bus;
  #record: JobRecord;
  #turn: Promise<unknown> = Promise.resolve();
  /** A plain `tell()` that has not begun yet: it will tell what is added meanwhile too. */
  #next: Promise<void> | undefined;

  constructor(bus: Bus, record: JobRecord) {
    this.#bus = bus;
    this.#record = record;
  }

  /** As it should be, which is not always as the engine has it. */
  get record(): JobRecord {
    return this.#record;
  }

  /** What is to be in the engine from now on. Told by the next `tell()`. */
  edit(edit: (record: JobRecord) => JobRecord): void {
    this.#record = edit(this.#record);
  }

  /**
   * Makes the engine have what it should, and learns whether the job is to be canceled. Rejects with `bus_failed`, or with
   * `fenced` when somebody else leads the job by its record.
   */
  tell(): Promise<void> {
    this.#next ??= this.#inTurn(() => {
      this.#next = undefined;
      return this.#tell();
    });
    return this.#next;
  }

  /** The same, with a step between reading and writing: a change of leaders after that step refuses the write. */
  tellAfter(step: () => Promise<void>): Promise<void> {
    return this.#inTurn(() => this.#tell(step));
  }

  /** Resolves when nothing is being told. */
  async told(): Promise<void> {
    await this.#turn;
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #tell(beforeWriting?: () => Promise<void>): Promise<void> {
    const { id } = this.#record;
    for (;;) {
      const entry = await this.#bus.state.get(keys.job(id));
      const found = readJob(entry);
      await beforeWriting?.();
      const next = reconcile(this.#record, found);
      if (next === "fenced") throw fenced(this.#record, found);
      if (found?.cancel) this.#record = { ...this.#record, cancel: true };
      if (next === "same") return;
      const value = JSON.stringify(next);
      const { state } = this.#bus;
      const written = await (entry === undefined
        ? state.create(keys.job(id), value)
        : state.update(keys.job(id), value, entry.revision));
      if (written !== undefined) return;
    }
  }
}

function fenced({ id, starts }: JobRecord, found: JobRecord | undefined): AmalgamError {
  const who = found?.leader === undefined ? "another coordinator" : `coordinator ${quote(found.leader)}`;
  const message = `This coordinator does not lead job ${quote(id)} any more: ${who} does, since start ${found?.starts ?? 0}, this was ${starts}`;
  return new AmalgamError("fenced", message, { details: { job: id } });
}
