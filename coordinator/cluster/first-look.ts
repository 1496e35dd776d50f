import type { Bus } from "../../shared/bus/bus.js";
import { type Clock, sleep } from "../../shared/clock.js";
import { type NodeRecord, nodeRecord, parseRecord } from "../../shared/cluster/records.js";
import { patienceMs } from "./liveness.js";

/** For first entries that are still on their way. */
const settleMs = 20;
/** A node as a command that looks once sees it. */
export interface SeenNode {
  readonly record: NodeRecord;
  /** `live`: it beat while we looked. `stale`: it did not. `unknown`: the engine was out of reach meanwhile. */
  readonly life: "live" | "stale" | "unknown";
}

/**
 * Who is in the cluster, for a command that asks once: looks until every node has beaten, at most for the time that a
 * silent one is given. Sorted by name.
 */
export async function firstLook(bus: Bus, clock: Clock): Promise<readonly SeenNode[]> {
  const first = new Map<string, NodeRecord>();
  const beaten = new Map<string, NodeRecord>();
  const looking = new AbortController();
  let isComplete = false;
  let isInterrupted = false;
  const unlisten = bus.onConnection(() => {
    isInterrupted = true;
  });
  const watch = await bus.nodes.watch("nodes.", ({ key, value }) => {
    const record = parseRecord(nodeRecord, value);
    const before = first.get(key);
    if (record === undefined) {
      first.delete(key);
      beaten.delete(key);
    } else if (before === undefined) first.set(key, record);
    else if (before.instance !== record.instance || before.beat !== record.beat) beaten.set(key, record);
    if (isComplete && [...first.keys()].every((name) => beaten.has(name))) looking.abort();
  });
  try {
    // The first entries are in when the watch resolves, or come right after.
    await sleep(clock, settleMs);
    isComplete = true;
    const longestMs = Math.max(0, ...[...first.values()].map(patienceMs));
    if (beaten.size < first.size) await sleep(clock, longestMs, looking.signal);
  } finally {
    unlisten();
    await watch[Symbol.asyncDispose]();
  }
  const silent = isInterrupted ? "unknown" : "stale";
  return [...first]
    .map(([key, record]): SeenNode => {
      const later = beaten.get(key);
      return later === undefined ? { record, life: silent } : { record: later, life: "live" };
    })
    .sort((left, right) => (left.record.name < right.record.name ? -1 : 1));
}
