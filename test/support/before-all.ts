import { natsBinaries } from "./nats-server.js";
import { whyNoS3 } from "./remote/s3-binary.js";

/** Runs once before all test files: fetches what several of them would otherwise fetch at the same time. */
export function setup(): void {
  for (const { binary, reason } of natsBinaries()) {
    if (reason !== undefined) process.stderr.write(`Tests on nats-server (${binary}) are skipped: ${reason}\n`);
  }
  const reason = whyNoS3();
  if (reason !== undefined) process.stderr.write(`Tests on a server of S3 are skipped: ${reason}\n`);
}
