import type { JobRecord, JobRequest, NodeRecord } from "../../../../shared/cluster/records.js";

export function nodeRecordOf(name: string, fields: Partial<NodeRecord> = {}): NodeRecord {
  return {
    name,
    instance: `${name}#1`,
    role: "agent",
    address: "127.0.0.1:7000",
    host: "host",
    pid: 1,
    version: "0.0.0",
    protocol: 1,
    kernels: "1",
    state: "ready",
    slots: 2,
    memoryBytes: 1e9,
    roots: [],
    running: 0,
    beat: 1,
    beatMs: 1_000,
    startedAt: "2026-01-01T00:00:00Z",
    ...fields,
  };
}

export const someRequest: JobRequest = {
  recipe: { text: "method: linear", file: "/recipes/recipe.yaml" },
  output: "/models/merged",
  assembly: "auto",
  shardBytes: 1e9,
  overwrite: false,
};

export function jobRecordOf(fields: Partial<JobRecord> = {}): JobRecord {
  return {
    id: "job",
    request: someRequest,
    state: "queued",
    cancel: false,
    starts: 0,
    submittedBy: "somebody",
    submittedAt: "2026-01-01T00:00:00Z",
    ...fields,
  };
}
