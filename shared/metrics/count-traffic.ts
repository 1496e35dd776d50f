import { onTraffic } from "../remote/traffic.js";
import type { Metrics } from "./metrics.js";

/** Counts what this process asks of servers that have models. Returns what ends that. */
export function countTraffic(metrics: Metrics): () => void {
  const requests = metrics.counter("amalgam_remote_requests_total");
  const retries = metrics.counter("amalgam_remote_retries_total");
  const bytes = metrics.counter("amalgam_remote_bytes_total");
  return onTraffic(({ server, what, count }) => {
    if (what === "bytes") bytes.inc({ server }, count);
    else requests.inc({ server }, count);
    if (what === "retry") retries.inc({ server }, count);
  });
}
