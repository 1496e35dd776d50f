import { type Bus, wordOf } from "../../shared/bus/bus.js";
import { clusterEvent, parseRecord } from "../../shared/cluster/records.js";
import type { EventView } from "./types.js";
import { eventView } from "./views.js";

/** How far back is looked, over the events of all jobs, and how many of the job's are shown. */
const lookedAt = 50_000;
const shown = 200;

/** What was told of a job, newest first, but for what is told of every unit. */
export async function readEvents(bus: Bus, job: string, signal: AbortSignal): Promise<readonly EventView[]> {
  const events: EventView[] = [];
  let number = 0;
  for await (const { body } of bus.events.read({ topic: wordOf(job), last: lookedAt, signal })) {
    const event = body.includes('"level":"debug"') ? undefined : parseRecord(clusterEvent, body);
    if (event === undefined) continue;
    number += 1;
    events.push(eventView(event, number));
    if (events.length > 2 * shown) events.splice(0, shown);
  }
  return events.slice(-shown).reverse();
}
