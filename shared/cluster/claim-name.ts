import type { Bucket, Entry } from "../bus/bus.js";
import { type Clock, sleep } from "../clock.js";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { keys, type NodeRecord, nodeRecord, parseRecord, staleBeats } from "./records.js";

/** The longest that a name is left to one who is silent, whatever the record says. */
const maxPatienceMs = 60_000;

/** Beats that show life. One may have been on its way to the engine when its sender died, and comes when the engine wakes. */
const beatsOfLife = 2;

/** How often one who may be gone is looked at, within the patience. */
const looks = 16;

/**
 * Puts `record` under its name; the revision that it got. Another instance that has the name is watched by our own
 * clock: fails with `usage` when it goes on beating, and takes its place when it has been silent for {@link staleBeats}.
 * Aborted, it fails with the signal's reason.
 */
export async function claimName(nodes: Bucket, record: NodeRecord, clock: Clock, signal: AbortSignal): Promise<number> {
  const key = keys.node(record.name);
  const value = JSON.stringify(record);
  for (;;) {
    signal.throwIfAborted();
    const entry = await nodes.get(key);
    const holder = parseRecord(nodeRecord, entry?.value);
    if (entry !== undefined && holder !== undefined && holder.instance !== record.instance) {
      const isSilent = await watchSilence(nodes, entry, holder, clock, signal);
      if (!isSilent) continue;
    }
    // Neither takes effect when somebody else was quicker, who is watched in the next round.
    const claimed =
      entry === undefined ? await nodes.create(key, value) : await nodes.update(key, value, entry.revision);
    if (claimed !== undefined) return claimed;
  }
}

/**
 * Waits until the holder counts as gone; false when its record is gone before, or another one: an engine that was set back
 * has an older beat of it.
 */
async function watchSilence(
  nodes: Bucket,
  { key, revision }: Entry,
  holder: NodeRecord,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  const patienceMs = Math.min(holder.beatMs * staleBeats, maxPatienceMs);
  let until = clock.now() + patienceMs;
  let [latest, beats] = [{ revision, beat: holder.beat }, 0];
  while (clock.now() < until) {
    await sleep(clock, patienceMs / looks, signal);
    signal.throwIfAborted();
    const entry = await nodes.get(key);
    if (entry === undefined) return false;
    if (entry.revision === latest.revision) continue;
    const record = parseRecord(nodeRecord, entry.value);
    if (record?.instance !== holder.instance || record.beat <= latest.beat) return false;
    beats += 1;
    if (beats === beatsOfLife) throw taken(holder);
    latest = { revision: entry.revision, beat: record.beat };
    until = clock.now() + patienceMs;
  }
  return true;
}

function taken({ name, host, pid, address }: NodeRecord): AmalgamError {
  const at = address === undefined ? "" : ` at ${quote(address)}`;
  return new AmalgamError(
    "usage",
    `Cannot join the cluster as ${quote(name)}: process ${pid} of host ${quote(host)}${at} has that name and is alive; end it, or give this one another with "--name"`,
    { details: { name, host, pid: String(pid) } },
  );
}
