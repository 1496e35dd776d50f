import type { Bus } from "../bus/bus.js";
import type { Log } from "../log/log.js";

/** Says in the log when a node loses NATS and when it has it again, until the signal: who leaves loses it on purpose. */
export function tellConnection(bus: Pick<Bus, "onConnection">, log: Log, signal: AbortSignal): Disposable {
  const stop = bus.onConnection((isConnected) => {
    if (signal.aborted) return;
    if (isConnected) log.info("NATS is reached again", { event: "nats back" });
    else log.warning("NATS is not reached: what runs goes on, and nothing new begins until it is back", lost);
  });
  return { [Symbol.dispose]: stop };
}

const lost = { event: "nats lost" };
