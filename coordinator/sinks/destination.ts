import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Sink } from "./sink.js";
import { isAddress, workPlace } from "./work-place.js";

/** Where an output goes, in words of the main job. */
export interface Destination {
  /** A folder to make; with a sink, the path beside which the work is staged, and where nothing is ever put. */
  readonly output: string;
  readonly sink?: Sink;
}

/**
 * Where an output goes that somebody named: a folder, or `s3://bucket/prefix`, whose work is staged in the folder
 * `staging`, by default the current one. `usage` for an address that is no place for outputs.
 */
export async function openDestination(name: string, staging?: string): Promise<Destination> {
  if (!isAddress(name)) {
    if (staging === undefined) return { output: name };
    const problem = "work on a folder is staged beside it, so leave out --staging";
    throw new AmalgamError("usage", `Cannot stage the work for ${quote(name)} elsewhere: ${problem}`);
  }
  // The client of S3 takes a quarter of a second to load.
  const { createS3Sink } = await import("./s3/s3-sink.js");
  const sink = createS3Sink(name);
  return { output: workPlace({ output: sink.url, staging }), sink };
}
