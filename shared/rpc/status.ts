import { Metadata, status } from "@grpc/grpc-js";
import { AmalgamError, type ErrorCode } from "../errors.js";

/** Everything about an {@link AmalgamError} but its cause, as JSON in one binary metadata value. */
const metadataKey = "amalgam-error-bin";

/** Metadata travels in HTTP/2 headers, whose usual limit is 16 KiB for all of them together. */
const maxMessageLength = 2_000;
const maxPlainLength = 500;
const maxDetails = 16;
const maxDetailLength = 200;

const statusOfCode = {
  recipe_invalid: status.INVALID_ARGUMENT,
  usage: status.INVALID_ARGUMENT,
  checkpoint_malformed: status.FAILED_PRECONDITION,
  checkpoint_mismatch: status.FAILED_PRECONDITION,
  checkpoint_changed: status.FAILED_PRECONDITION,
  path_refused: status.PERMISSION_DENIED,
  source_refused: status.PERMISSION_DENIED,
  unauthorized: status.UNAUTHENTICATED,
  source_failed: status.ABORTED,
  output_refused: status.ALREADY_EXISTS,
  out_of_memory: status.RESOURCE_EXHAUSTED,
  out_of_space: status.RESOURCE_EXHAUSTED,
  io_failed: status.ABORTED,
  chunk_corrupt: status.DATA_LOSS,
  agent_lost: status.UNAVAILABLE,
  agent_draining: status.UNAVAILABLE,
  stalled: status.DEADLINE_EXCEEDED,
  inputs_missing: status.FAILED_PRECONDITION,
  bus_failed: status.UNAVAILABLE,
  fenced: status.FAILED_PRECONDITION,
  canceled: status.CANCELLED,
  internal: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>;

/** What a failure means whose other side said no more than a gRPC status: the transport's own, or a foreign server's. */
const codeOfStatus: Readonly<Partial<Record<number, ErrorCode>>> = {
  [status.CANCELLED]: "canceled",
  [status.INVALID_ARGUMENT]: "usage",
  [status.DEADLINE_EXCEEDED]: "stalled",
  [status.PERMISSION_DENIED]: "path_refused",
  [status.UNAUTHENTICATED]: "unauthorized",
  // grpc-js says this of a message over the limit and nothing else.
  [status.RESOURCE_EXHAUSTED]: "out_of_memory",
  [status.UNAVAILABLE]: "agent_lost",
  [status.DATA_LOSS]: "chunk_corrupt",
};

/** What a gRPC handler fails with. */
export interface StatusError extends Error {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Any failure as gRPC sends it. The receiver gets code, message and details back; stack and cause stay here. */
export function toStatus(reason: unknown): StatusError {
  const error = AmalgamError.from(reason);
  const message = cut(error.message, maxMessageLength);
  const metadata = new Metadata();
  const details = Object.entries(error.details).slice(0, maxDetails);
  const fields = Object.fromEntries(
    details.map(([key, value]) => [cut(key, maxDetailLength), cut(value, maxDetailLength)]),
  );
  metadata.set(metadataKey, Buffer.from(JSON.stringify({ code: error.code, message, details: fields })));
  // The plain text is for foreign clients. Through a Buffer, since grpc-js fails on half a surrogate pair.
  const plain = Buffer.from(cut(message, maxPlainLength)).toString();
  return Object.assign(new Error(message), { code: statusOfCode[error.code], details: plain, metadata });
}

/** A failed call's error as one of ours. `peer` names the other side in messages of the transport. */
export function fromStatus(reason: unknown, peer: string): AmalgamError {
  if (!isServiceError(reason)) return AmalgamError.from(reason);
  const sent = parse(reason.metadata?.get(metadataKey)[0]);
  if (sent !== undefined) {
    return new AmalgamError(sent.code, printable(sent.message), { cause: reason, details: { ...sent.details, peer } });
  }
  const code = codeOfStatus[reason.code] ?? "internal";
  const name = status[reason.code] ?? String(reason.code);
  return new AmalgamError(code, `Call to ${peer} failed: ${printable(reason.details ?? reason.message)} (${name})`, {
    cause: reason,
    details: { peer, status: name },
  });
}

function isServiceError(
  reason: unknown,
): reason is { code: number; message: string; details?: string; metadata?: Metadata } {
  return reason instanceof Error && typeof (reason as { code?: unknown }).code === "number" && "metadata" in reason;
}

function parse(bytes: unknown): { code: ErrorCode; message: string; details: Record<string, string> } | undefined {
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    const { code, message, details } = JSON.parse(bytes.toString()) as Record<string, unknown>;
    if (typeof code !== "string" || !Object.hasOwn(statusOfCode, code) || typeof message !== "string") return undefined;
    const fields = Object.entries(details ?? {}).map(([key, value]) => [printable(key), printable(String(value))]);
    return { code: code as ErrorCode, message, details: Object.fromEntries(fields) };
  } catch {
    return undefined;
  }
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** The text is the other side's and ends on a terminal. */
function printable(text: string): string {
  return text.slice(0, maxMessageLength).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
}
