import { spawnSync } from "node:child_process";
import { repositoryPath } from "../repository.js";

interface Found {
  readonly path?: string;
  readonly reason?: string;
}

let known: Found | undefined;

function find(): Found {
  if (known === undefined) {
    const script = repositoryPath("deploy", "s3-server.mjs");
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: "utf8" });
    known = status === 0 ? { path: stdout.trim() } : { reason: stderr.trim() };
  }
  return known;
}

/** Why no S3-compatible server can be had here, which is why tests that need one skip. */
export function whyNoS3(): string | undefined {
  return find().reason;
}

/** Where a server is. Fails where none can be had, see {@link whyNoS3}. */
export function s3ServerPath(): string {
  const { path, reason } = find();
  if (path === undefined) throw new Error(`No S3-compatible server: ${reason}`);
  return path;
}
