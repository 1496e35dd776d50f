import { isOver, type JobRecord } from "../../shared/cluster/records.js";
import type { LiveNode } from "../cluster/liveness.js";
import { printable } from "./printable.js";

/** Why nobody works on a job. */
export interface Neglect {
  readonly reason: string;
  /** Whether anybody is there who could. */
  readonly hasCoordinator: boolean;
}

/** Undefined: somebody works on it, or it is over. `alive`: who is in the cluster now. */
export function neglectOf(record: JobRecord, alive: readonly LiveNode[]): Neglect | undefined {
  if (isOver(record.state)) return undefined;
  const names = alive.filter((node) => node.record.role === "coordinator").map((node) => node.record.name);
  const hasCoordinator = names.length > 0;
  if (record.state !== "queued" && record.leader !== undefined) {
    if (names.includes(record.leader)) return undefined;
    const silent = `Coordinator ${printable(record.leader)} is silent`;
    const next = hasCoordinator ? "another one takes over" : "there is no other one to take over";
    return { reason: `${silent}: ${next}`, hasCoordinator };
  }
  if (!hasCoordinator) return { reason: "No coordinator is alive: the job waits for one", hasCoordinator };
  return { reason: "All coordinators lead other jobs: the job waits for one", hasCoordinator };
}
