import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Digest } from "./places.js";

/** A hash of a file of `bytes`, of which the first come from `path`: what was downloaded by an earlier attempt. */
export async function hashOf(
  digest: Digest | undefined,
  bytes: number,
  kept: { readonly path: string; readonly bytes: number },
): Promise<Hash | undefined> {
  if (digest === undefined) return undefined;
  const hash = createHash(digest.algorithm === "sha256" ? "sha256" : "sha1");
  // What git calls a blob begins with its length.
  if (digest.algorithm === "git-blob") hash.update(`blob ${bytes}\0`);
  if (kept.bytes === 0) return hash;
  for await (const chunk of createReadStream(kept.path, { end: kept.bytes - 1, highWaterMark: 1 << 20 })) {
    hash.update(chunk as Uint8Array);
  }
  return hash;
}
