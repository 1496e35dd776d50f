import { type FoundProgram, findProgram } from "../find-program.js";

const find = (): FoundProgram => findProgram("s3-server.mjs");

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
