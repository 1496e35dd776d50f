import type { Bus } from "../../shared/bus/bus.js";
import { systemClock } from "../../shared/clock.js";
import {
  isOver,
  type JobRecord,
  keys,
  type ProgressRecord,
  parseRecord,
  progressRecord,
} from "../../shared/cluster/records.js";
import { firstLook, type SeenNode } from "../cluster/first-look.js";
import { JobStore } from "../cluster/jobs.js";

/** A job, with what else is known of it. */
export interface JobFacts {
  readonly record: JobRecord;
  /** Undefined for a job that is over or that nobody has told of yet. */
  readonly progress: ProgressRecord | undefined;
  /** How its leader is. `none`: nobody leads it; `gone`: it left, or NATS lost its record. */
  readonly leader: SeenNode["life"] | "none" | "gone";
}

/** All jobs, oldest first. */
export async function lookAtJobs(bus: Bus): Promise<readonly JobFacts[]> {
  const [records, nodes, entries] = await Promise.all([
    new JobStore(bus).list(),
    firstLook(bus, systemClock),
    bus.nodes.entries("progress."),
  ]);
  const progress = new Map(entries.map(({ key, value }) => [key, parseRecord(progressRecord, value)]));
  return records.map((record) => ({
    record,
    progress: isOver(record.state) ? undefined : progress.get(keys.progress(record.id)),
    leader: lifeOfLeader(record, nodes),
  }));
}

function lifeOfLeader({ state, leader }: JobRecord, nodes: readonly SeenNode[]): JobFacts["leader"] {
  if (leader === undefined || state === "queued" || isOver(state)) return "none";
  return nodes.find(({ record }) => record.name === leader)?.life ?? "gone";
}
