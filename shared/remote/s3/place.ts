import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { parseRemote } from "../url.js";
import { describeFailure, readS3Failure, remedyOf } from "./failure.js";

/** A bucket, and a key or the beginning of keys in it. */
export interface S3Place {
  readonly bucket: string;
  readonly key: string;
}

/** Why an object cannot be read, and what to do. */
export function sourceError(reason: unknown, url: string, signal: AbortSignal | undefined): AmalgamError {
  if (signal?.aborted) return AmalgamError.from(signal.reason);
  if (reason instanceof AmalgamError) return reason;
  const failure = readS3Failure(reason);
  const { trouble, word } = failure;
  const remedy = trouble === "absent" ? "there is no such object" : remedyOf(trouble);
  const [code, problem] =
    remedy === undefined
      ? (["source_failed", describeFailure(failure)] as const)
      : (["source_refused", `${remedy} (${word})`] as const);
  // The reason itself holds the request, signature and all.
  return new AmalgamError(code, `Cannot read ${quote(url)}: ${problem}`, { cause: new Error(word), details: { url } });
}

/** Where an `s3://` address leads. */
export function placeOf(name: string): S3Place & { readonly url: string } {
  const { address, problem } = parseRemote(name);
  const fault = problem ?? (address.scheme === "s3" ? undefined : "it is no address of S3");
  if (fault !== undefined || address === undefined) {
    throw new AmalgamError("source_refused", `Cannot read ${quote(name)}: ${fault}`);
  }
  return { url: address.url, bucket: address.authority.slice("s3://".length), key: address.segments.join("/") };
}

/** What a request is given so that the signal ends it. */
export function within(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
