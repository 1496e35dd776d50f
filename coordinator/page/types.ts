import type { ClusterEvent, JobRecord, NodeRecord, ProgressRecord } from "../../shared/cluster/records.js";
import type { UnitsRecord } from "../../shared/cluster/units-record.js";

// What the page shows, as JSON: `GET /api/state` and the events of `GET /api/events`. Texts are as they were told, by
// people and machines that nobody vouches for.

/** A job, its recipe left out. */
export interface JobView
  extends Pick<
    JobRecord,
    "id" | "state" | "cancel" | "starts" | "leader" | "submittedBy" | "submittedAt" | "endedAt" | "code"
  > {
  readonly output: string;
  /** Why it failed or waits: the first 600 characters. All of it is in `GET /api/jobs/ID`. */
  readonly reason?: string;
  /** What somebody can do about it. */
  readonly advice?: string;
  /** Why nobody works on it, though it is not over. */
  readonly neglect?: string;
  readonly progress?: ProgressRecord;
}

export interface NodeView
  extends Pick<
    NodeRecord,
    "name" | "role" | "address" | "host" | "version" | "kernels" | "slots" | "running" | "memoryBytes" | "startedAt"
  > {
  /** `silent`: it has not beaten for four beats. `unknown`: too early to say. */
  readonly state: NodeRecord["state"] | "silent" | "unknown";
  /** What it runs models on, the best first. */
  readonly devices: readonly string[];
}

export interface EventView extends Omit<ClusterEvent, "fields"> {
  /** Grows with every event of this server's life. */
  readonly number: number;
  readonly code?: string;
  readonly unit?: number;
}

export interface SweepView {
  /** The name of its folder, or a path below the folder that was named. */
  readonly name: string;
  readonly file: string;
  readonly state: "unfinished" | "done";
  readonly ended?: string;
  readonly trials: number;
  readonly failed: number;
  /** Undefined: it ends otherwise. */
  readonly maxTrials?: number;
  readonly objectives: readonly string[];
  /** The best trial and what it scored, by objective. */
  readonly best?: { readonly trial: number; readonly scores: readonly number[] };
  /** `[trial, best loss so far]` wherever it got better. Smaller is better. */
  readonly bestSoFar: readonly (readonly [number, number])[];
  /** Of two objectives: scores of the trials that no other one beats, and of some others. */
  readonly front?: {
    readonly front: readonly (readonly [number, number])[];
    readonly others: readonly (readonly [number, number])[];
  };
  /** Why there is nothing to show. */
  readonly problem?: string;
  /** When its files last changed, ISO 8601. */
  readonly changedAt: string;
}

/** About the server itself. */
export interface ServerView {
  readonly name: string;
  readonly version: string;
  /** Whether it reaches what it tells of: NATS. While not, it shows what was last heard. */
  readonly isConnected: boolean;
  /** Jobs and nodes that there is no room for. */
  readonly jobsLeftOut: number;
  readonly nodesLeftOut: number;
  /** Whether folders of sweeps are shown. */
  readonly hasSweeps: boolean;
  /** Whether jobs can be canceled and nodes drained, by whoever has the token. */
  readonly canAct: boolean;
}

/** By the name of a collection, what is in it by key. */
export interface Collections {
  readonly server: ServerView;
  readonly jobs: JobView;
  readonly units: UnitsRecord;
  readonly nodes: NodeView;
  readonly events: EventView;
  readonly sweeps: SweepView;
}
export type CollectionName = keyof Collections;

/** What changed, in the order in which it did: null for what is gone. */
export type Changes = {
  readonly [Name in CollectionName]?: Readonly<Record<string, Collections[Name] | null>>;
};

/** `GET /api/state`, and the first event of `GET /api/events`. */
export interface Snapshot extends Changes {
  /** By the server's clock, ISO 8601. */
  readonly at: string;
  /** Whoever asks may change things. */
  readonly isAuthenticated: boolean;
}

/** `GET /api/jobs/ID`. */
export interface JobDetails extends Omit<JobView, "reason"> {
  readonly reason?: string;
  readonly recipe: { readonly text: string; readonly file: string };
  readonly digest?: string;
  readonly assembly: string;
  readonly overwrite: boolean;
  readonly shardBytes: number;
  readonly unitBytes?: number;
  readonly units?: UnitsRecord;
  /** What was told of it, newest first, the least important left out. */
  readonly events: readonly EventView[];
}
