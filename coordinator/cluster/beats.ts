import type { Bus } from "../../shared/bus/bus.js";
import { type Clock, sleep } from "../../shared/clock.js";
import { keys, type NodeRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";

/** Shows every `beatMs` that this coordinator is alive, until the signal; then takes its record away. */
export async function beat(
  bus: Bus,
  clock: Clock,
  describe: () => Omit<NodeRecord, "beat">,
  signal: AbortSignal,
): Promise<void> {
  const { name, beatMs } = describe();
  for (let count = 1; !signal.aborted; count += 1) {
    await unlessAway(() => bus.nodes.put(keys.node(name), JSON.stringify({ ...describe(), beat: count })));
    await sleep(clock, beatMs, signal);
  }
  await unlessAway(() => bus.nodes.delete(keys.node(name)));
}

/** A beat that cannot be told is no reason to stop: the next one is, or our leases run out. */
async function unlessAway(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (AmalgamError.from(error).code !== "bus_failed") throw error;
  }
}
