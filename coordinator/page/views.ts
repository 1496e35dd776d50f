import {
  type ClusterEvent,
  isOver,
  type JobRecord,
  type NodeRecord,
  type ProgressRecord,
} from "../../shared/cluster/records.js";
import type { UnitsRecord } from "../../shared/cluster/units-record.js";
import { neglectOf } from "../cli/neglect.js";
import type { LiveNode } from "../cluster/liveness.js";
import { adviceFor } from "./advice.js";
import type { EventView, JobDetails, JobView, NodeView } from "./types.js";

/** What a list has room for. */
const maxReasonLength = 600;

export function jobView(
  record: JobRecord,
  progress: ProgressRecord | undefined,
  alive: readonly LiveNode[] | undefined,
): JobView {
  const { id, state, cancel, starts, leader, submittedBy, submittedAt, endedAt, code, reason, request } = record;
  const advice = state === "failed" ? adviceFor(code) : undefined;
  // Before anybody is known to be alive, nothing can be said about who is not.
  const neglect = alive === undefined || alive.length === 0 ? undefined : neglectOf(record, alive)?.reason;
  return {
    ...{ id, state, cancel, starts, submittedBy, submittedAt, output: request.output },
    ...(leader !== undefined && { leader }),
    ...(endedAt !== undefined && { endedAt }),
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason: reason.slice(0, maxReasonLength) }),
    ...(advice !== undefined && { advice }),
    ...(neglect !== undefined && { neglect }),
    ...(progress !== undefined && !(isOver(state) && state !== "done") && { progress }),
  };
}

export function jobDetails(
  record: JobRecord,
  view: JobView,
  units: UnitsRecord | undefined,
  events: readonly EventView[],
): JobDetails {
  const { request, reason, digest } = record;
  const { recipe, assembly, overwrite, shardBytes, unitBytes } = request;
  return {
    ...view,
    ...{ recipe, assembly, overwrite, shardBytes, events },
    ...(reason !== undefined && { reason }),
    ...(digest !== undefined && { digest }),
    ...(unitBytes !== undefined && { unitBytes }),
    ...(units !== undefined && { units }),
  };
}

export function nodeView(record: NodeRecord, life: "live" | "silent" | "unknown"): NodeView {
  const { name, role, address, host, version, kernels, slots, running, memoryBytes, startedAt, state } = record;
  return {
    ...{ name, role, host, version, kernels, slots, running, memoryBytes, startedAt },
    ...(address !== undefined && { address }),
    state: life === "live" ? state : life,
    devices: record.devices ?? [],
  };
}

export function eventView({ fields, ...event }: ClusterEvent, number: number): EventView {
  const { code, unit } = fields ?? {};
  return {
    ...event,
    number,
    ...(typeof code === "string" && { code }),
    ...(typeof unit === "number" && { unit }),
  };
}
