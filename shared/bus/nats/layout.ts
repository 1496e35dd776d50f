import { AmalgamError } from "../../errors.js";
import { callApi, codes, isCode, isMissing, nanosecondsPerMs } from "./api.js";
import type { Connection } from "./connection.js";

/** Largest value or message we store: far above any record, far below a server's default limit of 1 MiB. */
export const maxValueBytes = 512 << 10;

const day = 24 * 60 * 60 * 1_000 * nanosecondsPerMs;
/** Events are kept for a week or up to so many bytes. */
const maxEventAge = 7 * day;
export const maxEventBytes = 256 << 20;
/** A node that has not been heard of for a day is not listed any more. */
const maxNodeAge = day;
/** How long a message's id is remembered. */
const duplicateWindow = 120_000 * nanosecondsPerMs;

/** What our streams are called, given a prefix. Buckets are laid out as NATS's own tools expect them. */
export interface Names {
  readonly state: BucketNames;
  readonly nodes: BucketNames;
  readonly jobs: { readonly stream: string; readonly subject: string; readonly consumer: string };
  readonly events: { readonly stream: string; readonly subjects: string };
}

export interface BucketNames {
  readonly stream: string;
  /** What stands before each key, its dot included. */
  readonly subjects: string;
}

export function namesOf(prefix: string): Names {
  const bucket = (name: string): BucketNames => ({
    stream: `KV_${prefix}-${name}`,
    subjects: `$KV.${prefix}-${name}.`,
  });
  return {
    state: bucket("state"),
    nodes: bucket("nodes"),
    jobs: { stream: `${prefix}-jobs`, subject: `${prefix}.jobs`, consumer: "coordinators" },
    events: { stream: `${prefix}-events`, subjects: `${prefix}.events.` },
  };
}

/** Creates the streams and the consumer that are not there; what is there stays as it is. */
export async function createAll(connection: Connection): Promise<void> {
  const { prefix, replicas, ackWaitMs } = connection.settings;
  const names = namesOf(prefix);
  // No rollups: a header would let whoever may write one key take all keys away.
  const bucket = { max_msgs_per_subject: 1, discard: "new", allow_rollup_hdrs: false };
  await createStream(connection, {
    ...bucket,
    name: names.state.stream,
    subjects: [`${names.state.subjects}>`],
    storage: "file",
    num_replicas: replicas,
  });
  await createStream(connection, {
    ...bucket,
    name: names.nodes.stream,
    subjects: [`${names.nodes.subjects}>`],
    storage: "memory",
    num_replicas: replicas,
    max_age: maxNodeAge,
  });
  await createStream(connection, {
    name: names.jobs.stream,
    subjects: [names.jobs.subject],
    storage: "file",
    num_replicas: replicas,
    retention: "workqueue",
    duplicate_window: duplicateWindow,
  });
  await createStream(connection, {
    name: names.events.stream,
    subjects: [`${names.events.subjects}*`],
    storage: "file",
    num_replicas: replicas,
    discard: "old",
    max_age: maxEventAge,
    max_bytes: maxEventBytes,
  });
  await createQueue(connection, names.jobs, ackWaitMs);
}

async function createQueue(connection: Connection, { stream, consumer }: Names["jobs"], ackWaitMs: number) {
  const act = "create the queue of jobs";
  try {
    // Creating one that is there would change its settings to ours.
    await callApi(connection, act, `CONSUMER.INFO.${stream}.${consumer}`);
    return;
  } catch (error) {
    if (!isCode(error, codes.consumerNotFound)) throw error;
  }
  await callApi(connection, act, `CONSUMER.DURABLE.CREATE.${stream}.${consumer}`, {
    stream_name: stream,
    config: {
      durable_name: consumer,
      ack_policy: "explicit",
      ack_wait: ackWaitMs * nanosecondsPerMs,
      deliver_policy: "all",
      replay_policy: "instant",
      max_deliver: -1,
      // Every job that runs is one that is not acknowledged yet.
      max_ack_pending: 100_000,
    },
  });
}

async function createStream(connection: Connection, config: { readonly name: string } & Record<string, unknown>) {
  // Looked for first: not everybody may create, and a server with little room left refuses before it looks.
  if (await hasStream(connection, config.name)) return;
  try {
    await callApi(connection, `create stream "${config.name}"`, `STREAM.CREATE.${config.name}`, {
      retention: "limits",
      max_msg_size: maxValueBytes,
      ...config,
    });
  } catch (error) {
    // Made meanwhile, by another version of ours or by an administrator: theirs to decide.
    if (isCode(error, codes.streamDiffers)) return;
    if (!isCode(error, "PERMISSIONS_VIOLATION")) throw error;
    const { message, details } = AmalgamError.from(error);
    throw new AmalgamError("bus_failed", `${message}; coordinators create it, and none has been here yet: start one`, {
      cause: error,
      details,
    });
  }
}

async function hasStream(connection: Connection, name: string): Promise<boolean> {
  try {
    await callApi(connection, `look for stream "${name}"`, `STREAM.INFO.${name}`);
    return true;
  } catch (error) {
    if (isCode(error, codes.streamNotFound)) return false;
    throw error;
  }
}

/** Runs `operation`; if what it speaks to is gone, creates everything anew and runs it once more. */
export async function healed<T>(restore: () => Promise<void>, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  await restore();
  return operation();
}
