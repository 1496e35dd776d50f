import { JobStore } from "../../coordinator/cluster/jobs.js";
import { sleep } from "../../shared/clock.js";
import { isOver, type JobRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import type { SimProcess } from "./process.js";

const lookMs = 2_000;
const unitBytes = 1 << 19;
/** Who reads these waits a little and submits the job again. */
const worthAnother: ReadonlySet<string | undefined> = new Set(["out_of_space", "output_refused"]);

/**
 * What a patient person does: submits the job, and again when the engine lost it or something was in its way. The job's
 * record when it is over.
 */
export async function submitAndWait({ clock, bus }: SimProcess, say: (line: string) => void): Promise<JobRecord> {
  const jobs = new JobStore(bus, clock);
  for (let submissions = 0; ; await sleep(clock, lookMs)) {
    try {
      const id = `job-${submissions}`;
      const record = await jobs.get(id);
      if (record === undefined) await submit(jobs, id);
      else if (record.state === "failed" && worthAnother.has(record.code)) submissions += 1;
      else if (isOver(record.state)) return record;
    } catch (error) {
      say(`client: ${AmalgamError.from(error).message}`);
    }
  }
}

async function submit(jobs: JobStore, id: string): Promise<void> {
  const recipe = { text: "", file: "/recipe.yaml" };
  const request = {
    recipe,
    output: "/output",
    assembly: "direct",
    unitBytes,
    shardBytes: 1,
    overwrite: false,
  } as const;
  await jobs.submit(request, { id, by: "somebody", at: "2026-01-01" });
}
