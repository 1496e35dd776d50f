import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { S3Place } from "../../../shared/remote/s3/place.js";
import { parseRemote } from "../../../shared/remote/url.js";

/** The folder of a bucket that an output goes to; `url` in its canonical form. `usage` when it is none. */
export function outputPlace(name: string): S3Place & { readonly url: string } {
  const { address, problem } = parseRemote(name);
  const fault =
    problem ??
    (address.scheme !== "s3"
      ? "outputs go to a folder or to s3://bucket/prefix"
      : address.segments.length === 0
        ? "name a prefix within the bucket, such as s3://bucket/merged"
        : undefined);
  if (fault !== undefined || address === undefined) {
    throw new AmalgamError("usage", `Cannot write to ${quote(name)}: ${fault}`);
  }
  return { url: address.url, bucket: address.authority.slice("s3://".length), key: address.segments.join("/") };
}
