import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { describeFailure, readS3Failure, remedyOf } from "../../../shared/remote/s3/failure.js";

/** Why an output cannot be written, and what to do: what only the author can change, or a server that does not work. */
export function outputError(reason: unknown, url: string, signal?: AbortSignal): AmalgamError {
  if (signal?.aborted) return AmalgamError.from(signal.reason);
  if (reason instanceof AmalgamError) return reason;
  // A file of ours that cannot be read, for instance.
  if (reason instanceof Error && (reason as NodeJS.ErrnoException).syscall?.match(/^(?:open|read)$/)) {
    return AmalgamError.from(reason);
  }
  const failure = readS3Failure(reason);
  const { trouble, word } = failure;
  const remedy = remedyOf(trouble);
  // Not the reason itself: with it goes the request, signature and all.
  const cause = new Error(word);
  const andThen = trouble === "expired" ? ", then run the same command again, it goes on" : "";
  if (remedy !== undefined) return refusedOutput(url, `${remedy}${andThen} (${word})`, cause);
  if (trouble === "condition") return refusedOutput(url, "another process wrote to it meanwhile", cause);
  return new AmalgamError("io_failed", `Cannot write to ${quote(url)}: ${describeFailure(failure)}`, {
    cause,
    details: { output: url },
  });
}

/** Something at the place, or about it, that the author has to change. */
export function refusedOutput(url: string, problem: string, cause?: unknown): AmalgamError {
  return new AmalgamError("output_refused", `Cannot write to ${quote(url)}: ${problem}`, {
    cause,
    details: { output: url },
  });
}
