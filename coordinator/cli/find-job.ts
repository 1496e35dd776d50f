import type { Bus } from "../../shared/bus/bus.js";
import type { JobRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { JobStore } from "../cluster/jobs.js";
import { didYouMean } from "../recipe/wording.js";

/** The job of that name. `usage` when there is none, with the one that was probably meant. */
export async function findJob(bus: Bus, id: string): Promise<JobRecord> {
  const jobs = new JobStore(bus);
  const record = await jobs.get(id);
  if (record !== undefined) return record;
  const ids = (await jobs.list()).map((job) => job.id);
  // Of its name, people remember the output's.
  const [begun] = ids.filter((known) => id !== "" && known.startsWith(id)).reverse();
  const meant = begun === undefined ? didYouMean(id, ids) : `, did you mean ${quote(begun)}?`;
  const hint = ids.length === 0 ? ": there are no jobs" : meant || "; amalgam status lists them";
  throw new AmalgamError("usage", `Unknown job ${quote(id)}${hint}`);
}
