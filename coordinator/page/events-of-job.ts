import { type Bus, wordOf } from "../../shared/bus/bus.js";
import { clusterEvent, parseRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import type { EventView } from "./types.js";
import { eventView } from "./views.js";

/** How far back is looked, over the events of all jobs, and how many of the job's are shown. */
const lookedAt = 50_000;
const shown = 200;
/** Jobs whose events are read at once: each may be thousands of messages. */
const maxReads = 4;

/** What was told of jobs, for those who look at one. Whoever asks while the same is read already has it from there. */
export class EventsOfJobs {
  readonly #bus: Bus;
  readonly #signal: AbortSignal;
  readonly #reads = new Map<string, Promise<readonly EventView[]>>();

  constructor(bus: Bus, signal: AbortSignal) {
    this.#bus = bus;
    this.#signal = signal;
  }

  /** Newest first, but for what is told of every unit. Fails with `bus_failed` when too many ask. */
  read(job: string): Promise<readonly EventView[]> {
    const before = this.#reads.get(job);
    if (before !== undefined) return before;
    if (this.#reads.size >= maxReads) {
      return Promise.reject(new AmalgamError("bus_failed", "Too many jobs are looked at now: try again in a moment"));
    }
    const reading = this.#read(job).finally(() => this.#reads.delete(job));
    this.#reads.set(job, reading);
    return reading;
  }

  async #read(job: string): Promise<readonly EventView[]> {
    const events: EventView[] = [];
    let number = 0;
    const told = this.#bus.events.read({ topic: wordOf(job), last: lookedAt, signal: this.#signal });
    for await (const { body } of told) {
      const event = body.includes('"level":"debug"') ? undefined : parseRecord(clusterEvent, body);
      if (event === undefined) continue;
      number += 1;
      events.push(eventView(event, number));
      if (events.length > 2 * shown) events.splice(0, shown);
    }
    return events.slice(-shown).reverse();
  }
}
