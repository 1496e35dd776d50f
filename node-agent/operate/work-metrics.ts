import type { Metrics } from "../../shared/metrics/metrics.js";
import type { WorkObserver, WorkWatch } from "./work-observer.js";

/** Counts what an agent does. `now` in milliseconds, from any start. */
export function countWork(metrics: Metrics, now: () => number = () => performance.now()): WorkObserver {
  const calls = metrics.counter("amalgam_agent_calls_total");
  const seconds = metrics.histogram("amalgam_agent_call_seconds");
  const bytesRead = metrics.counter("amalgam_agent_bytes_read_total");
  const bytesWritten = metrics.counter("amalgam_agent_bytes_written_total");
  const ioSeconds = metrics.counter("amalgam_agent_io_seconds_total");
  const nonFinite = metrics.counter("amalgam_agent_nonfinite_elements_total");
  return {
    begin: ({ call }): WorkWatch => {
      const begun = now();
      return {
        started: () => undefined,
        observe: (event) => {
          if (event.type === "progress" && call === "merge") {
            bytesRead.inc(event.bytesRead);
            bytesWritten.inc(event.bytesWritten);
            ioSeconds.inc(event.ioSeconds);
          } else if (event.type === "receipt") nonFinite.inc(Number(event.receipt.nonFinite ?? 0));
        },
        ended: (error) => {
          calls.inc({ call, outcome: error?.code ?? "ok" });
          if (error === undefined) seconds.observe({ call }, (now() - begun) / 1000);
        },
      };
    },
  };
}
