import { isOver, type JobRecord } from "../../shared/cluster/records.js";
import type { LiveNode } from "../cluster/liveness.js";
import { printable } from "./printable.js";

/** Why nobody works on a job. */
export interface Neglect {
  readonly reason: string;
  /** Whether anybody is there who could. */
  readonly hasCoordinator: boolean;
}

/**
 * Undefined: somebody works on it, or it is over. `alive`: who is in the cluster now. `instance`: of the leader when it
 * began to lead, if that is known.
 */
export function neglectOf(
  record: JobRecord,
  alive: readonly LiveNode[],
  instance?: string | undefined,
): Neglect | undefined {
  if (isOver(record.state)) return undefined;
  const coordinators = alive.map((node) => node.record).filter(({ role }) => role === "coordinator");
  const hasCoordinator = coordinators.length > 0;
  if (record.state !== "queued" && record.leader !== undefined) {
    const leader = coordinators.find(({ name }) => name === record.leader);
    const name = printable(record.leader);
    if (leader !== undefined) {
      if (instance === undefined || leader.instance === instance) return undefined;
      return { reason: `Coordinator ${name} was started anew: the job waits to be taken up again`, hasCoordinator };
    }
    const next = hasCoordinator ? "another one takes over" : "there is no other one to take over";
    return { reason: `Coordinator ${name} is silent: ${next}`, hasCoordinator };
  }
  if (!hasCoordinator) return { reason: "No coordinator is alive: the job waits for one", hasCoordinator };
  return { reason: "All coordinators lead other jobs: the job waits for one", hasCoordinator };
}
