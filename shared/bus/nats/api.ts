import { AmalgamError } from "../../errors.js";
import type { Connection } from "./connection.js";

// JetStream's API as it stands on the wire: JSON requests under `$JS.API`. Spoken directly, not through the client's
// helpers, because those hide deadlines and keep consumers of their own, which do not all survive a server's restart.

/** Numbers of JetStream's errors that are answers here. */
export const codes = {
  noMessage: "10037",
  streamNotFound: "10059",
  consumerNotFound: "10014",
  wrongLastSequence: "10071",
  streamDiffers: "10058",
  otherStream: "10060",
} as const;

export const nanosecondsPerMs = 1_000_000;

export interface StreamInfo {
  readonly created: string;
  readonly config: { readonly num_replicas: number; readonly storage: string };
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly last_seq: number;
  };
}

export interface ConsumerInfo {
  readonly name: string;
  readonly num_pending: number;
  readonly num_redelivered: number;
  readonly delivered: { readonly consumer_seq: number };
}

export interface AccountInfo {
  readonly memory: number;
  readonly storage: number;
  /** -1: no limit. */
  readonly limits: { readonly max_memory: number; readonly max_storage: number; readonly max_streams: number };
}

export interface StoredMessage {
  readonly message: {
    readonly seq: number;
    readonly time: string;
    /** Base64, as is the data. */
    readonly hdrs?: string;
    readonly data?: string;
  };
}

/** Sends `body` to `$JS.API.<subject>`; an error in the answer is thrown with its number in `details.nats`. */
export async function callApi<T>(
  connection: Connection,
  act: string,
  subject: string,
  body: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  const answer = await connection.request(act, `$JS.API.${subject}`, JSON.stringify(body));
  return parseAnswer<T>(connection, act, answer.string());
}

/** Stores a message and says under which sequence. */
export async function publish(
  connection: Connection,
  act: string,
  subject: string,
  body: string,
  fields: Readonly<Record<string, string>> = {},
): Promise<number> {
  const answer = await connection.request(act, subject, body, fields);
  return parseAnswer<{ readonly seq: number }>(connection, act, answer.string()).seq;
}

function parseAnswer<T>(connection: Connection, act: string, text: string): T {
  let answer: T & {
    readonly error?: { readonly err_code?: number; readonly code: number; readonly description: string };
  };
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw connection.failure(act, "the answer is not JSON", "malformed", error);
  }
  const { error } = answer;
  if (error !== undefined) throw connection.failure(act, error.description, String(error.err_code ?? error.code));
  return answer;
}

/**
 * When the message under a sequence was stored, in nanoseconds since 1970; undefined when there is none. With its sequence
 * it tells a message from the one that has its place after a loss of data.
 */
export async function storedAt(
  connection: Connection,
  act: string,
  stream: string,
  sequence: number,
): Promise<bigint | undefined> {
  try {
    const body = { seq: sequence };
    const { message } = await callApi<StoredMessage>(connection, act, `STREAM.MSG.GET.${stream}`, body);
    return nanosecondsOf(message.time);
  } catch (error) {
    if (isCode(error, codes.noMessage) || isCode(error, codes.streamNotFound)) return undefined;
    throw error;
  }
}

/** `2026-01-02T03:04:05.123456789Z` in nanoseconds since 1970. Dates of JavaScript end at milliseconds. */
export function nanosecondsOf(time: string): bigint {
  const [, seconds = "", fraction = "", zone = "Z"] = /^([^.Zz+]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/i.exec(time) ?? [];
  const wholeMs = Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(wholeMs)) return -1n;
  return BigInt(wholeMs) * BigInt(nanosecondsPerMs) + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
}

/** Whether the server said `code`. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof AmalgamError && error.details["nats"] === code;
}

/** Whether the stream or consumer that was spoken to is not there, as after its data was wiped. */
export function isMissing(error: unknown): boolean {
  return ["503", codes.streamNotFound, codes.consumerNotFound].some((code) => isCode(error, code));
}
