import { printable } from "./quote.js";

/**
 * Why something failed, as one word from a closed set. It decides three things and nothing else does: whether another
 * try can help, the process's exit code, and the gRPC status on the wire.
 */
export type ErrorCode =
  // The author's to fix: the recipe, or a command line.
  | "recipe_invalid"
  | "usage"
  // The input's to fix: a checkpoint that is broken, hostile, or does not fit the others.
  | "checkpoint_malformed"
  | "checkpoint_mismatch"
  | "checkpoint_changed"
  | "path_refused"
  // A server has no such file, or does not let us have it.
  | "source_refused"
  // Whoever asks may not: another role's certificate, or none.
  | "unauthorized"
  // The machine's to fix.
  | "output_refused"
  | "out_of_memory"
  | "out_of_space"
  | "io_failed"
  // Worth another try, elsewhere or later.
  | "source_failed"
  | "chunk_corrupt"
  | "agent_lost"
  | "agent_draining"
  | "stalled"
  // A trial's blobs are not on the agent any more; whoever asks sends them again.
  | "inputs_missing"
  // The cluster's: NATS does not answer, or another coordinator leads the job by now.
  | "bus_failed"
  | "fenced"
  // Nobody's fault, and a bug.
  | "canceled"
  | "internal";

const retryable: ReadonlySet<ErrorCode> = new Set([
  "out_of_memory",
  "io_failed",
  "source_failed",
  "chunk_corrupt",
  "agent_lost",
  "agent_draining",
  "stalled",
  "inputs_missing",
  "bus_failed",
  "internal",
]);

const authorsToFix: ReadonlySet<ErrorCode> = new Set([
  "recipe_invalid",
  "usage",
  "checkpoint_malformed",
  "checkpoint_mismatch",
  "path_refused",
  "source_refused",
  "unauthorized",
  "output_refused",
]);

export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, string>>;
}

/**
 * The one error that crosses processes. The message names the act, the thing and the numbers, quotes strings and ends
 * without a full stop. `details` carries the same facts as fields (tensor, file, unit) for logs and machines.
 */
export class AmalgamError extends Error {
  override readonly name = "AmalgamError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Whether the same work may succeed on another attempt or another agent. */
  get retryable(): boolean {
    return retryable.has(this.code);
  }

  /** 2 for what the author can fix, 130 for an interrupt, 1 for everything else. */
  get exitCode(): number {
    if (authorsToFix.has(this.code)) return 2;
    return this.code === "canceled" ? 130 : 1;
  }

  /** What can be sent to another thread. The stack and the cause stay here. */
  get plain(): PlainError {
    const { code, message, details } = this;
    return { code, message, details };
  }

  static fromPlain({ code, message, details }: PlainError): AmalgamError {
    return new AmalgamError(code, message, { details });
  }

  /** The same object if it already is one; otherwise an error with a code, the original kept as its cause. */
  static from(reason: unknown): AmalgamError {
    if (reason instanceof AmalgamError) return reason;
    if (reason instanceof Error) {
      const errno = (reason as NodeJS.ErrnoException).code;
      if (reason.name === "AbortError") return new AmalgamError("canceled", "Canceled", { cause: reason });
      if (errno !== undefined) {
        return new AmalgamError(codeOfErrno(errno), printable(reason.message), { cause: reason, details: { errno } });
      }
      return new AmalgamError("internal", `${reason.name}: ${reason.message}`, { cause: reason });
    }
    return new AmalgamError("internal", String(reason), { cause: reason });
  }
}

/**
 * The system's error names that call for a reaction of their own; every other one is a failed read or write. Names that
 * begin with `ERR_` are Node's own.
 */
function codeOfErrno(errno: string): ErrorCode {
  if (errno === "ENOSPC" || errno === "EDQUOT") return "out_of_space";
  if (errno === "ENOMEM" || errno === "ERR_WORKER_OUT_OF_MEMORY") return "out_of_memory";
  return /^ERR_/.test(errno) ? "internal" : "io_failed";
}
