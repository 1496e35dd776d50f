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
  readonly state: { readonly messages: number; readonly bytes: number; readonly last_seq: number };
}

export interface ConsumerInfo {
  readonly name: string;
  readonly num_pending: number;
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

/** Whether the server said `code`. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof AmalgamError && error.details["nats"] === code;
}

/** Whether the stream or consumer that was spoken to is not there, as after its data was wiped. */
export function isMissing(error: unknown): boolean {
  return ["503", codes.streamNotFound, codes.consumerNotFound].some((code) => isCode(error, code));
}
