import { z } from "zod";
import { wordOf } from "../bus/bus.js";
import type { ErrorCode } from "../errors.js";
import { longestWaitMs } from "./longest-wait.js";

// What coordinators, agents and the commands tell one another through the bus. Every record is JSON; readers take only
// what parses, so a record of another version is skipped and not a crash.

/** Longest name, in characters. */
export const maxNameLength = 200;
/** A name that people read and that stands in keys. */
const name = z.string().min(1).max(maxNameLength);
const count = z.int().nonnegative();

/** An agent or a coordinator, as it says itself, again with every beat. In {@link Bus.nodes} under `nodes.<name>`. */
export const nodeRecord = z.object({
  name,
  /** Made up at every start. */
  instance: z.string().max(100),
  role: z.enum(["agent", "coordinator"]),
  /** `host:port` of an agent's gRPC server, as others reach it. */
  address: z.string().max(300).optional(),
  host: z.string().max(300),
  pid: count,
  version: z.string().max(100),
  protocol: count,
  kernels: z.string().max(100),
  state: z.enum(["ready", "draining"]),
  slots: count,
  memoryBytes: count,
  roots: z.array(z.string().max(4096)).max(1000),
  /** Of an agent: what it runs models on, the best first, such as `cuda` and `cpu`. */
  devices: z.array(z.string().max(60)).max(16).optional(),
  /** Units that run; jobs that a coordinator leads. */
  running: count,
  /** Grows with every beat of the instance. */
  beat: count,
  /** How often it beats. Readers give up on it after {@link staleBeats} of these by their own clock. */
  beatMs: z.number().positive(),
  /** ISO 8601, for people. */
  startedAt: z.string().max(40),
});
export type NodeRecord = z.infer<typeof nodeRecord>;

export const defaultBeatMs = 1_000;
/** Missed beats after which a node counts as gone. */
export const staleBeats = 4;

/** A record with a recipe must fit into a message. */
const maxRecipeLength = 300_000;

/** What a job is asked to do. Paths are absolute. */
export const jobRequest = z.object({
  /** The recipe's text and where it stood: models' relative paths count from its folder. */
  recipe: z.object({ text: z.string().max(maxRecipeLength), file: z.string().max(4096) }),
  /** A folder, or `s3://bucket/prefix`. */
  output: z.string().max(4096),
  /** Of an output on S3: the folder in which the work on it is staged, as coordinators see it. */
  staging: z.string().max(4096).optional(),
  /** `auto`: agents that see the output's file system write themselves, others stream. */
  assembly: z.enum(["auto", "direct", "stream"]),
  unitBytes: z.number().positive().optional(),
  shardBytes: z.number().positive(),
  overwrite: z.boolean(),
  /** How long the job waits while there is no agent for it. Undefined: for ever. */
  maxWaitMs: z.number().nonnegative().max(longestWaitMs).optional(),
});
export type JobRequest = z.infer<typeof jobRequest>;

export const jobStates = [
  "queued",
  "planning",
  "running",
  "waiting",
  "committing",
  "done",
  "failed",
  "canceled",
] as const;
export type JobState = (typeof jobStates)[number];
const endStates: readonly JobState[] = ["done", "failed", "canceled"];
export function isOver(state: JobState): boolean {
  return endStates.includes(state);
}

/** In {@link Bus.state} under `jobs.<id>`. Changed only by compare and set. */
export const jobRecord = z.object({
  id: name,
  request: jobRequest,
  state: z.enum(jobStates),
  /** Somebody wants it to end. The leader sees it; without one, the next. */
  cancel: z.boolean(),
  /** How often a coordinator began to lead it. */
  starts: count,
  /** The number of starts that were well: what was led since got something done, or was handed over in order. */
  startsWell: count.optional(),
  /** The name of the coordinator that leads or led it. */
  leader: name.optional(),
  submittedBy: z.string().max(300),
  submittedAt: z.string().max(40),
  endedAt: z.string().max(40).optional(),
  /** Why it failed, in the words of the error; or why it waits. */
  reason: z.string().max(10_000).optional(),
  code: z.string().max(40).optional() as unknown as z.ZodOptional<z.ZodType<ErrorCode>>,
  /** The plan's digest, once there is a plan. */
  digest: z.string().max(64).optional(),
  /** W3C trace context of whoever submitted it. */
  traceparent: z.string().max(400).optional(),
});
export type JobRecord = z.infer<typeof jobRecord>;

/** How far a job is. In {@link Bus.nodes} under `progress.<id>`: lost with the engine, and told again. */
export const progressRecord = z.object({
  units: count,
  unitsDone: count,
  /** Bytes to read and write, and done. */
  work: z.number().nonnegative(),
  workDone: z.number().nonnegative(),
  agents: count,
  slots: count,
  retries: count,
  bytesPerSecond: z.number().nonnegative(),
  /** Seconds to go, while the speed of before lasts. */
  etaSeconds: z.number().nonnegative().optional(),
});
export type ProgressRecord = z.infer<typeof progressRecord>;

/** The right to lead a job. In {@link Bus.state} under `leases.<id>`. */
export const leaseRecord = z.object({
  /** The coordinator, and its instance: empty when it gave the lease up. */
  holder: name,
  instance: z.string().max(100),
  /** Grows whenever the lease changes hands. */
  epoch: z.int().positive(),
  /** Grows while it is held: that it changed is all that a reader looks at. */
  beat: count,
  /** How long the holder may be silent, by the reader's own clock. */
  ttlMs: z.number().positive(),
});
export type LeaseRecord = z.infer<typeof leaseRecord>;

/** What somebody asks of a node. In {@link Bus.state} under `orders.<name>`. */
export const orderRecord = z.object({
  /** The instance it is meant for: a node that is started again has no orders. */
  instance: z.string().max(100),
  order: z.enum(["drain"]),
  by: z.string().max(300),
});
export type OrderRecord = z.infer<typeof orderRecord>;

/** Something that happened, in {@link Bus.events} under the job's id or the node's name. */
export const clusterEvent = z.object({
  /** ISO 8601, by the teller's clock: for people, never compared. */
  at: z.string().max(40),
  level: z.enum(["debug", "info", "warning", "error"]),
  /** Who tells it. */
  node: name,
  job: name.optional(),
  /** Such as `unit finished`. */
  type: z.string().max(60),
  message: z.string().max(4000),
  fields: z.record(z.string().max(60), z.union([z.string().max(1000), z.number(), z.boolean()])).optional(),
});
export type ClusterEvent = z.infer<typeof clusterEvent>;

export const keys = {
  node: (nodeName: string): string => `nodes.${wordOf(nodeName)}`,
  job: (id: string): string => `jobs.${wordOf(id)}`,
  lease: (id: string): string => `leases.${wordOf(id)}`,
  progress: (id: string): string => `progress.${wordOf(id)}`,
  units: (id: string): string => `units.${wordOf(id)}`,
  order: (nodeName: string): string => `orders.${wordOf(nodeName)}`,
} as const;

/** A record from the bus, undefined when it is not one. */
export function parseRecord<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
