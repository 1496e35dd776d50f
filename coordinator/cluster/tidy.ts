import type { Bus, Entry } from "../../shared/bus/bus.js";
import { type Clock, sleep } from "../../shared/clock.js";
import { isOver, jobRecord, keys, parseRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Log } from "../../shared/log/log.js";

const lookMs = 60_000;
/** Far longer than a node is silent that comes back under the same record. */
const silentMs = 600_000;
/** How long people can look up how a job ended. */
const endedMs = 14 * 24 * 3_600_000;
/** How long a page shows how far a job was that has ended: it is kept in the engine's memory. */
const shownMs = 3_600_000;

export interface TidyOptions {
  readonly clock: Clock;
  /** Spreads what several coordinators would do at the same moment. */
  readonly random: () => number;
  readonly date: () => Date;
  readonly log: Log;
}

/** Removes from the engine what nobody needs any more, now and then, until the signal. Never fails. */
export async function tidy(bus: Bus, options: TidyOptions, signal: AbortSignal): Promise<void> {
  const { clock, random, date } = options;
  const silent = new SilentRecords();
  while (!signal.aborted) {
    await sleep(clock, lookMs * (0.75 + 0.5 * random()), signal);
    if (signal.aborted) return;
    if (!bus.isConnected) {
      silent.forget();
      continue;
    }
    try {
      for (const key of silent.look(await bus.nodes.entries("nodes."), clock.now())) await bus.nodes.delete(key);
      const jobs = await bus.state.entries("jobs.");
      for (const kind of ["units.", "progress."]) {
        for (const key of notShown(await bus.nodes.entries(kind), jobs, date())) await bus.nodes.delete(key);
      }
      for (const id of endedLongAgo(jobs, date())) {
        await bus.state.delete(keys.job(id));
        await bus.state.delete(keys.lease(id));
      }
    } catch (error) {
      // The engine is away, or does not let us: what is left over can wait.
      options.log.warning(`Cannot tidy up: ${AmalgamError.from(error).message}`);
    }
  }
}

/** The jobs among these entries that ended long ago, by their ids. */
export function endedLongAgo(entries: readonly Entry[], now: Date): readonly string[] {
  return entries.flatMap(({ value }) => {
    const record = parseRecord(jobRecord, value);
    if (record === undefined || !isOver(record.state) || record.endedAt === undefined) return [];
    return now.getTime() - Date.parse(record.endedAt) > endedMs ? [record.id] : [];
  });
}

/** Among the keys under which leaders tell how far jobs are, those of jobs that ended an hour ago, or have no record. */
export function notShown(told: readonly Entry[], jobs: readonly Entry[], now: Date): readonly string[] {
  const ends = new Map(jobs.map(({ key, value }) => [key, parseRecord(jobRecord, value)?.endedAt] as const));
  return told.flatMap(({ key }) => {
    const job = key.replace(/^[a-z]+\./, "jobs.");
    const endedAt = ends.get(job);
    const isShown = ends.has(job) && (endedAt === undefined || now.getTime() - Date.parse(endedAt) <= shownMs);
    return isShown ? [] : [key];
  });
}

/** Records that stand still: what killed nodes leave behind. Judged by the reader's own clock, as everything is. */
export class SilentRecords {
  readonly #seen = new Map<string, { readonly revision: number; readonly sinceMs: number }>();
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** The keys that did not change for so long that whoever wrote them is gone. */
  look(all: readonly Entry[], nowMs: number): readonly string[] {
    // Keys that are none of ours, as somebody's tool may write, are nobody's to remove.
    const entries = all.filter(({ key }) => /^nodes\.[\w-]+$/.test(key));
    // We were frozen, and so saw nobody change.
    if (nowMs - this.#lookedMs > 3 * lookMs) this.forget();
    this.#lookedMs = nowMs;
    const there = new Set(entries.map(({ key }) => key));
    for (const key of this.#seen.keys()) if (!there.has(key)) this.#seen.delete(key);
    return entries.flatMap(({ key, revision }) => {
      const seen = this.#seen.get(key);
      if (seen?.revision === revision) return nowMs - seen.sinceMs > silentMs ? [key] : [];
      this.#seen.set(key, { revision, sinceMs: nowMs });
      return [];
    });
  }

  forget(): void {
    this.#seen.clear();
  }
}
