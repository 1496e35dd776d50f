import { createHash } from "node:crypto";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { commit } from "../../../coordinator/assemble/commit.js";
import { removeLeftovers } from "../../../coordinator/assemble/leftovers.js";
import { openStaging } from "../../../coordinator/assemble/open-staging.js";
import type { Staging } from "../../../coordinator/assemble/staging.js";
import type { Plan } from "../../../coordinator/plan/types.js";
import { createS3Sink, type S3SinkOptions } from "../../../coordinator/sinks/s3/s3-sink.js";
import { workPlace } from "../../../coordinator/sinks/work-place.js";
import { AmalgamError } from "../../../shared/errors.js";
import { hashDirectory, makePlan, testAttempt, testRecipe } from "../plans.js";
import type { S3Env, TestBucket } from "./s3-server.js";

/** The least that S3 takes as a part with another after it. */
export const partBytes = 5 << 20;
export interface SentPlanOptions {
  /** Another plan's digest, and other bytes. @default "" */
  readonly salt?: string;
  /** The first of the two files has two parts. @default false */
  readonly isLarge?: boolean;
}

/** A plan with two files. */
export function sentPlan(directory: string, { salt = "", isLarge = false }: SentPlanOptions): Promise<Plan> {
  const rows = isLarge ? 2_700 : 27;
  const files = [[["embed.weight", "BF16", [rows, 1_024]]], [["head.weight", "BF16", [24, 16]]]] as const;
  return makePlan(directory, { files, salt });
}

export interface DeliverOptions extends SentPlanOptions {
  /** Models, and the staging directory. */
  readonly directory: string;
  readonly url: string;
  readonly env: S3Env;
  readonly overwrite?: boolean;
  /** @default the test's */
  readonly recipeText?: string;
  /** Called before anything is sent, and may tamper with staged files later. */
  readonly onStaged?: (staging: Staging) => void;
  readonly idleMs?: number;
  readonly step?: (name: string) => void;
  readonly signal?: AbortSignal;
}

/** A whole coordinator's life in miniature, as `runPlan()` leads it: look, stage, fill, send. */
export async function deliver(options: DeliverOptions): Promise<"complete" | "made"> {
  const { directory, url, env, salt = "", overwrite = false, recipeText = testRecipe, idleMs, step, signal } = options;
  const plan = await sentPlan(directory, options);
  const sinkOptions: S3SinkOptions = { env, partBytes, idleMs };
  const sink = createS3Sink(url, sinkOptions);
  const output = workPlace({ output: url, staging: directory });
  if (await sink.isComplete(plan, { overwrite, signal })) {
    await removeLeftovers(plan, output);
    return "complete";
  }
  const staging = await openStaging(plan, output, { version: "1", overwrite, step });
  if (staging === "complete") throw new Error("Nothing is ever put there");
  await using _staging = staging;
  await using delivery = await sink.open(staging, { overwrite, signal });
  options.onStaged?.(staging);
  await fill(staging, salt);
  const isToBeRedone = (reason: unknown): boolean => AmalgamError.from(reason).code === "chunk_corrupt";
  await commit(staging, { recipeText, delivery, signal }).catch(async (reason: unknown) => {
    if (!isToBeRedone(reason)) throw reason;
    await fill(staging, salt);
    await commit(staging, { recipeText, delivery, signal });
  });
  return "made";
}

/** What the same plan makes in a folder: SHA-256 by name. */
export async function localHashes(directory: string, options: SentPlanOptions = {}): Promise<Record<string, string>> {
  const output = join(directory, "local");
  const staging = await openStaging(await sentPlan(directory, options), output, { version: "1" });
  if (staging === "complete") return hashDirectory(output);
  await using _staging = staging;
  await fill(staging, options.salt);
  await commit(staging, { recipeText: testRecipe });
  return hashDirectory(output);
}

/** SHA-256 of what is right in a folder of a bucket, by name. */
export async function bucketHashes(bucket: TestBucket, prefix: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const key of await bucket.keys()) {
    const content = await bucket.get(key);
    hashes[key.slice(prefix.length + 1)] = createHash("sha256").update(content).digest("hex");
  }
  return hashes;
}

/** Puts every tensor that is missing in place, whole. */
export async function fill(staging: Staging, salt = ""): Promise<void> {
  const { plan } = staging.parts;
  for (const [tensor, { name, file, offset, bytes, elements }] of plan.tensors.entries()) {
    if (staging.done.get(tensor) !== undefined) continue;
    const stretch = createHash("shake256", { outputLength: 99_991 })
      .update(name + salt)
      .digest();
    const content = Buffer.alloc(bytes, stretch);
    await staging.writeChunk(file, offset, content);
    const numbers = { nonFinite: 0, overflowed: 0, largest: 1, inputsNonFinite: [0, 0] };
    const piece = { tensor, begin: 0, end: elements, bytes, crc32: crc32(content), ...numbers };
    await staging.accept([piece], testAttempt);
  }
}
