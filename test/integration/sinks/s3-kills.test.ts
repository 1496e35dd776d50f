import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import { whyNoS3 } from "../../support/remote/s3-binary.js";
import { bucketHashes, deliver, localHashes } from "../../support/remote/s3-outputs.js";
import { type S3Server, startS3Server } from "../../support/remote/s3-server.js";
import type { S3ChildTask } from "./s3-child.js";

// Coordinators are killed at every step of bringing an output into a bucket; the same merge again finishes it.

const skip = whyNoS3();
const child = fileURLToPath(new URL("./s3-child.js", import.meta.url));
const scratch = withTempDir();
let server: S3Server;
let golden: Record<string, string>;
beforeAll(async () => {
  if (skip !== undefined) return;
  server = await startS3Server();
  golden = await localHashes((await scratch).path, { isLarge: true });
}, 120_000);
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await (await scratch)[Symbol.asyncDispose]();
});

async function killAt(task: S3ChildTask): Promise<void> {
  const ended = promisify(execFile)(process.execPath, [child, JSON.stringify(task)]);
  await expect(ended).rejects.toMatchObject({ signal: "SIGKILL" });
}

/** In the order in which they are come by. "put": what is no weights, the manifest last. */
const steps = [
  ["before the first upload is on record", "upload-created", 1],
  ["between two parts", "part-sent", 1],
  ["between two files that become visible", "completed", 1],
  ["before the manifest", "put", 4],
  ["after the manifest", "renamed", 1],
] as const;

test.skipIf(skip)("one run after the other is killed, each a step further, and the output is made once", async () => {
  await using dir = await withTempDir();
  const bucket = await server.bucket();
  const options = { directory: dir.path, url: bucket.url("models", "merged"), env: server.env(), isLarge: true };
  for (const [when, step, occurrence] of steps) {
    await killAt({ ...options, crash: { step, occurrence } });
    const isThere = (await bucket.keys()).includes("models/merged/amalgam.json");
    expect([when, isThere]).toEqual([when, when === "after the manifest"]);
  }
  expect(await deliver(options)).toBe("complete");
  expect(await bucketHashes(bucket, "models/merged")).toEqual(golden);
  expect(Object.values(await bucket.versions()).every((count) => count === 1)).toBe(true);
  expect(await bucket.uploads()).toEqual([]);
  expect((await readdir(dir.path)).filter((name) => name.includes(".amalgam-"))).toEqual([]);
});
