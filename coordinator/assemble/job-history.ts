import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import type { Plan } from "../plan/types.js";
import { type JobRecord, type JournalRecord, journalVersion } from "./journal-records.js";
import { Pieces } from "./pieces.js";
import type { JournalContents } from "./read-journal.js";
import { StatisticsLog } from "./statistics-log.js";

/** What the journal of an earlier run says about this plan. */
export interface JobHistory {
  readonly pieces: Pieces;
  readonly statistics: StatisticsLog;
  /** Where to go on writing. */
  readonly trustedBytes: number;
  /** Damage in the journal's middle, as a sentence. */
  readonly problem: string | undefined;
}

/** A staging directory with work in it that this job cannot go on with. */
export interface ForeignHistory {
  readonly reason: string;
}

/** The first record of a new journal. */
export function jobRecord(plan: Plan, amalgam: string): JobRecord {
  return {
    type: "job",
    version: journalVersion,
    planDigest: plan.digest,
    amalgam,
    sources: plan.sources.map(({ bytes, modifiedMs }) => ({ bytes, modifiedMs })),
  };
}

/**
 * What earlier runs of this job did, from their journal. Undefined when there is nothing to go on from: a journal whose
 * first line was never finished, before which nothing is accepted.
 */
export function readHistory(
  journal: JournalContents,
  plan: Plan,
  amalgam: string,
): JobHistory | ForeignHistory | undefined {
  const [first, ...records] = journal.records;
  if (first === undefined) {
    return journal.problem === undefined ? undefined : { reason: "the first line of its journal is damaged" };
  }
  const reason = first.type === "job" ? difference(first, plan, amalgam) : "its journal does not begin with a job";
  if (reason !== undefined) return { reason };
  const { pieces, statistics } = replay(plan, records);
  return { pieces, statistics, trustedBytes: journal.trustedBytes, problem: journal.problem };
}

/** Why the bytes staged by an earlier run are not those that this plan would make. */
function difference(job: JobRecord, plan: Plan, amalgam: string): string | undefined {
  if (job.planDigest !== plan.digest) return "it belongs to another recipe or to other source models";
  if (job.amalgam !== amalgam) return `it was begun by version ${job.amalgam} of Amalgam, and this is ${amalgam}`;
  const at = plan.sources.findIndex(({ bytes, modifiedMs }, i) => {
    return job.sources[i]?.bytes !== bytes || job.sources[i].modifiedMs !== modifiedMs;
  });
  const source = plan.sources[at];
  // The digest covers headers, and an edit in place can leave those as they are.
  return source && `source ${quote(source.name)} of ${quote(plan.models[source.model]?.name ?? "")} was modified since`;
}

function replay(plan: Plan, records: readonly JournalRecord[]): Pick<JobHistory, "pieces" | "statistics"> {
  const pieces = new Pieces(plan);
  const statistics = new StatisticsLog();
  for (const [index, record] of records.entries()) {
    try {
      if (record.type === "piece") pieces.add(record);
      else if (record.type === "dropped") pieces.drop(record);
      else if (record.type === "statistics") statistics.add(record.pass, record.entries);
    } catch (error) {
      // The line is sound and says what cannot be: another program wrote it.
      const line = formatCount(index + 2);
      throw new AmalgamError("output_refused", `Cannot go on from line ${line} of the journal: ${String(error)}`, {
        cause: error,
      });
    }
  }
  return { pieces, statistics };
}
