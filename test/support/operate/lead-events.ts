import type { DispatchEvent } from "../../../coordinator/dispatch/dispatcher.js";
import type { JobAgent } from "../../../coordinator/job/job-agents.js";
import type { JobEvent } from "../../../coordinator/job/types.js";
import type { Plan, Unit } from "../../../coordinator/plan/types.js";
import type { JobRecord } from "../../../shared/cluster/records.js";
import type { AmalgamError } from "../../../shared/errors.js";

/** As much of a plan as observers look at: unit n is of tensor n. */
export function planOf(method: string, dtypes: readonly string[]): Plan {
  return { method, digest: "d", tensors: dtypes.map((dtype) => ({ dtype })) } as unknown as Plan;
}

export function jobRecordOf(id: string, more: Partial<JobRecord> = {}): JobRecord {
  const request = {
    recipe: { text: "", file: "/r.yaml" },
    output: "/tmp/out",
    assembly: "auto",
    shardBytes: 1,
    overwrite: false,
  };
  return {
    ...{ id, request: request as JobRecord["request"], state: "planning", cancel: false, starts: 1 },
    ...{ submittedBy: "ada", submittedAt: "" },
    ...more,
  };
}

type Attempted = DispatchEvent<Unit, JobAgent>;

const event = (unit: number, epoch: number, rest: object): JobEvent => {
  const name = { unit: { id: unit, pieces: [{ tensor: unit }] }, agent: { name: `agent-${unit}` }, epoch };
  return { type: "dispatch", event: { ...name, ...rest } as unknown as Attempted };
};

/** What dispatch tells of an attempt at a unit. */
export const attemptEvents = {
  started: (unit: number, epoch: number): JobEvent => event(unit, epoch, { type: "started" }),
  progress: (unit: number, epoch: number, bytesRead: number, bytesWritten: number): JobEvent =>
    event(unit, epoch, { type: "progress", bytesRead, bytesWritten }),
  finished: (unit: number, epoch: number): JobEvent => event(unit, epoch, { type: "finished" }),
  superseded: (unit: number, epoch: number): JobEvent => event(unit, epoch, { type: "superseded" }),
  failed: (unit: number, epoch: number, error: AmalgamError): JobEvent =>
    event(unit, epoch, { type: "failed", error, retryMs: 100 }),
};
