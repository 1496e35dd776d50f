import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import { kernelsVersion } from "../../shared/rpc/version.js";
import type { Plan } from "../plan/types.js";
import { journalVersion } from "./journal-records.js";
import type { JobRecord, JournalRecord } from "./parse-record.js";
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
  /** It is this job's, and was begun with other arithmetic: coordinators of that version can go on with it. */
  readonly isOfOtherKernels?: boolean;
}

/** What makes the bytes. */
export interface Software {
  /** Amalgam's own. */
  readonly version: string;
  /** Versions with the same arithmetic go on with one another's work. @default kernelsVersion */
  readonly kernels?: string | undefined;
}

/** The first record of a new journal. */
export function jobRecord(plan: Plan, { version, kernels = kernelsVersion }: Software): JobRecord {
  return {
    type: "job",
    version: journalVersion,
    planDigest: plan.digest,
    amalgam: version,
    kernels,
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
  software: Software,
): JobHistory | ForeignHistory | undefined {
  const [first, ...records] = journal.records;
  if (first === undefined) {
    return journal.problem === undefined ? undefined : { reason: "the first line of its journal is damaged" };
  }
  if (first.type !== "job") return { reason: "its journal does not begin with a job" };
  const reason = difference(first, plan);
  if (reason !== undefined) return { reason };
  if (!hasSameArithmetic(first, software)) {
    const reason = `it was begun by version ${first.amalgam} of Amalgam, which computes in another way than ${software.version}`;
    return { reason, isOfOtherKernels: true };
  }
  const { pieces, statistics } = replay(plan, records);
  return { pieces, statistics, trustedBytes: journal.trustedBytes, problem: journal.problem };
}

/** Why the bytes staged by an earlier run are not those that this plan would make. */
function difference(job: JobRecord, plan: Plan): string | undefined {
  if (job.planDigest !== plan.digest) return "it belongs to another recipe or to other source models";
  const at = plan.sources.findIndex(({ bytes, modifiedMs }, i) => {
    return job.sources[i]?.bytes !== bytes || job.sources[i].modifiedMs !== modifiedMs;
  });
  const source = plan.sources[at];
  // The digest covers headers, and an edit in place can leave those as they are.
  return source && `source ${quote(source.name)} of ${quote(plan.models[source.model]?.name ?? "")} was modified since`;
}

function hasSameArithmetic(job: JobRecord, { version, kernels = kernelsVersion }: Software): boolean {
  // Journals did not always say it.
  return job.kernels === undefined ? job.amalgam === version : job.kernels === kernels;
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
