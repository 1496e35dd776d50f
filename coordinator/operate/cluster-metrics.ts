import type { Bus } from "../../shared/bus/bus.js";
import { type JobState, jobRecord, jobStates, parseRecord } from "../../shared/cluster/records.js";
import type { Metrics } from "../../shared/metrics/metrics.js";

/** Tells of the cluster's engine and the jobs on its record. Disposing of it ends that. */
export async function watchCluster(metrics: Metrics, bus: Bus): Promise<AsyncDisposable> {
  const states = new Map<string, JobState>();
  const watch = await bus.state.watch("jobs.", ({ key, value }) => {
    const record = parseRecord(jobRecord, value);
    if (record === undefined) states.delete(key);
    else states.set(key, record.state);
  });
  const unlisten = tellConnection(metrics, bus);
  metrics.onScrape(() => {
    const count = new Map<JobState, number>(jobStates.map((state) => [state, 0]));
    for (const state of states.values()) count.set(state, (count.get(state) ?? 0) + 1);
    for (const [state, jobs] of count) metrics.gauge("amalgam_jobs").set({ state }, jobs);
  });
  metrics.onScrape(async () => {
    if (!bus.isConnected) return;
    const { pending, redelivered } = await bus.jobs.backlog();
    metrics.gauge("amalgam_nats_jobs_pending").set(pending);
    metrics.gauge("amalgam_nats_jobs_redelivered").set(redelivered);
  });
  return {
    [Symbol.asyncDispose]: async () => {
      unlisten();
      await watch[Symbol.asyncDispose]();
    },
  };
}

function tellConnection(metrics: Metrics, bus: Bus): () => void {
  const connected = metrics.gauge("amalgam_nats_connected");
  const disconnects = metrics.counter("amalgam_nats_disconnects_total");
  connected.set(bus.isConnected ? 1 : 0);
  return bus.onConnection((isConnected) => {
    connected.set(isConnected ? 1 : 0);
    if (!isConnected) disconnects.inc();
  });
}
