import { isOver, type JobRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { moved } from "../cluster/job-states.js";
import { JobStore } from "../cluster/jobs.js";
import { onCluster } from "./cluster-access.js";
import type { ClusterOptions } from "./cluster-options.js";
import { findJob } from "./find-job.js";
import { followJob, type JobNews } from "./follow-job.js";
import { interruptible } from "./interrupt.js";
import { printable } from "./printable.js";
import type { Terminal } from "./terminal.js";

/** `amalgam cancel`: returns when the job is canceled, or when nobody is there who could do it now. */
export function cancel(id: string, options: ClusterOptions, { stdout, stderr }: Terminal): Promise<number> {
  return onCluster(options, "cancel", async (bus) => {
    const before = await findJob(bus, id);
    if (isOver(before.state) && before.state !== "canceled") {
      throw new AmalgamError("usage", `Cannot cancel job ${printable(id)}: it is over already, and ${before.state}`);
    }
    const asked = (await new JobStore(bus).change(id, askToEnd)) ?? before;
    const isEnough = (news: JobNews): boolean => {
      if (news.type === "neglected") stderr.write(`${news.reason}\n`);
      return news.type === "neglected" && !news.hasCoordinator;
    };
    const toEnd = (signal: AbortSignal): Promise<JobRecord> =>
      followJob(bus, id, { signal, isEnough, onNews: () => {} });
    const after = isOver(asked.state)
      ? asked
      : await interruptible(toEnd, `Waiting ended, and ${printable(id)} is to be canceled`);
    stdout.write(options.json ? `${JSON.stringify({ job: id, state: after.state })}\n` : describe(after));
    return after.state === "canceled" || !isOver(after.state) ? 0 : 1;
  });
}

/** What nobody leads ends here and now: whoever takes it up at the same moment loses, for the record is another by then. */
function askToEnd(record: JobRecord): JobRecord | undefined {
  if (isOver(record.state)) return undefined;
  if (record.state !== "queued") return record.cancel ? undefined : { ...record, cancel: true };
  return { ...moved(record, "canceled", { endedAt: new Date().toISOString() }), cancel: true };
}

function describe({ id, state }: JobRecord): string {
  const job = printable(id);
  if (state === "canceled") return `${job} is canceled\n`;
  if (isOver(state)) return `${job} came to its end before it could be canceled: ${state}\n`;
  return `${job} is to be canceled: the next coordinator ends it\n`;
}
