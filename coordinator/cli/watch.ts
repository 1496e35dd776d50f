import type { Bus } from "../../shared/bus/bus.js";
import type { JobRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { onCluster } from "./cluster-access.js";
import type { ClusterOptions } from "./cluster-options.js";
import { formatSeconds } from "./duration.js";
import { findJob } from "./find-job.js";
import { type FollowOptions, followJob } from "./follow-job.js";
import { interruptible } from "./interrupt.js";
import { printable, printableLines } from "./printable.js";
import type { Terminal } from "./terminal.js";
import { createWatchView } from "./watch-view.js";

/** `amalgam watch`: to the job's end, whose exit code is the command's. */
export function watch(id: string, options: ClusterOptions, terminal: Terminal): Promise<number> {
  return onCluster(options, "watch", async (bus) => {
    await findJob(bus, id);
    const record = await interruptible((signal) => showJob(bus, id, { json: options.json, signal }, terminal));
    return conclude(record, options, terminal);
  });
}

/** Shows what happens to a job, until it is over or there was enough. An interrupt leaves the job as it is. */
export async function showJob(
  bus: Bus,
  id: string,
  { json, ...options }: Omit<FollowOptions, "onNews"> & { readonly json: boolean },
  { stdout, stderr }: Terminal,
): Promise<JobRecord> {
  const view = createWatchView({ json, stdout, stderr });
  try {
    return await followJob(bus, id, { ...options, onNews: (news) => view.observe(news) });
  } catch (error) {
    if (!options.signal.aborted) throw error;
    throw new AmalgamError("canceled", `Watching ended, the job goes on: amalgam watch ${id}`, { cause: error });
  } finally {
    view.close();
  }
}

/** The last word on a job that is over: resolves with 0 if it is done, and rejects with why it is not. */
export function conclude(record: JobRecord, { json }: { readonly json: boolean }, { stdout }: Terminal): number {
  const { id: job, state, request, digest, code = "internal", reason = "no reason was given" } = record;
  const { output } = request;
  if (state === "done") {
    const seconds = secondsOf(record);
    const took = seconds === undefined ? "" : `, ${formatSeconds(seconds)} after it was submitted`;
    const done = { event: "done", job, output, digest, seconds };
    stdout.write(json ? `${JSON.stringify(done)}\n` : `${printable(output)}: complete${took}\n`);
    return 0;
  }
  if (state === "canceled") {
    if (json) stdout.write(`${JSON.stringify({ event: "canceled", job })}\n`);
    throw new AmalgamError("canceled", `Job ${printable(job)} was canceled`);
  }
  const message = printableLines(reason);
  if (json) stdout.write(`${JSON.stringify({ event: "failed", job, code, message })}\n`);
  throw new AmalgamError(code, message);
}

function secondsOf({ submittedAt, endedAt }: JobRecord): number | undefined {
  const seconds = (Date.parse(endedAt ?? "") - Date.parse(submittedAt)) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
