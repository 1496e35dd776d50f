import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AmalgamError } from "../../../shared/errors.js";
import type { RemoteFile, RemoteStore } from "../../../shared/remote/remote-store.js";
import { createS3Store } from "../../../shared/remote/s3/s3-store.js";
import { withTempDir } from "../../support/checkpoints.js";
import { whyNoS3 } from "../../support/remote/s3-binary.js";
import { type S3Fault, type S3Rule, startS3Proxy } from "../../support/remote/s3-proxy.js";
import { type S3Server, startS3Server, type TestBucket } from "../../support/remote/s3-server.js";
import { writeSmallModels } from "../../support/small-models.js";

// Models in buckets, found and read by ranges from a real server, with faults in between.

const skip = whyNoS3();
let server: S3Server;
let bucket: TestBucket;
let weights: Buffer;
beforeAll(async () => {
  if (skip !== undefined) return;
  server = await startS3Server();
  bucket = await server.bucket();
  await using dir = await withTempDir();
  await writeSmallModels(dir.path);
  for (const name of await readdir(join(dir.path, "math"))) {
    await bucket.put(`models/math/${name}`, await readFile(join(dir.path, "math", name)));
  }
  // Long enough to be cut in the middle.
  weights = createHash("shake256", { outputLength: 300_000 }).update("weights").digest();
  await bucket.put("models/math/extra.safetensors", weights);
  await bucket.put("models/math/deeper/notes.json", "{}");
}, 120_000);
afterAll(async () => server?.[Symbol.asyncDispose]());

/** A store that reaches the server through a proxy. */
async function through(rule: S3Rule = () => undefined) {
  const proxy = await startS3Proxy(server.port, rule);
  const store = createS3Store({ env: server.env(proxy.endpoint), idleMs: 500 });
  return {
    store,
    counts: proxy.counts,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

async function fileIn(store: RemoteStore, name = "extra.safetensors"): Promise<RemoteFile> {
  const file = (await store.find(bucket.url("models", "math"))).files.get(name);
  if (file === undefined) throw new Error(`No ${name}`);
  return file;
}

async function read(store: RemoteStore, file: RemoteFile, offset: number, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await store.read(file, { offset, length }, (bytes) => chunks.push(Buffer.from(bytes)));
  return Buffer.concat(chunks);
}

function failureOf(promise: Promise<unknown>): Promise<AmalgamError> {
  return promise.then(
    () => {
      throw new Error("It did not fail");
    },
    (reason: unknown) => AmalgamError.from(reason),
  );
}

test.skipIf(skip)("a folder's files are found with sizes and versions, and nothing below it", async () => {
  await using set = await through();
  const { url, files } = await set.store.find(`${bucket.url("models", "math")}/`);
  expect(url).toBe(bucket.url("models", "math"));
  expect([...files.keys()].sort()).toEqual(["config.json", "extra.safetensors", "model.safetensors"]);
  expect(files.get("extra.safetensors")).toEqual({
    url: bucket.url("models", "math", "extra.safetensors"),
    bytes: weights.length,
    version: expect.stringMatching(/^"[0-9a-f]{32}"$/),
  });
  expect(set.counts.GetObject).toBe(undefined);
});

test.skipIf(skip)("one file is found by its name, beside what is small", async () => {
  await using set = await through();
  const { files } = await set.store.find(bucket.url("models", "math", "extra.safetensors"));
  expect([...files.keys()].sort()).toEqual(["config.json", "extra.safetensors"]);
});

const pass: readonly (readonly [what: string, faults: readonly S3Fault[]])[] = [
  [
    "the connection is cut twice",
    [
      { kind: "cut", bytes: 70_000 },
      { kind: "cut", bytes: 1 },
    ],
  ],
  ["the server fails twice", [500, 503].map((status) => ({ kind: "answer", status, error: "SlowDown" }) as const)],
  ["the server says nothing once", [{ kind: "silence" }]],
];

test.each(pass)("a range is read although %s", { skip: skip !== undefined }, async (_, faults) => {
  const left = [...faults];
  await using set = await through(({ operation }) => (operation === "GetObject" ? left.shift() : undefined));
  const file = await fileIn(set.store);
  expect(await read(set.store, file, 1_000, 200_000)).toEqual(weights.subarray(1_000, 201_000));
  expect(set.counts.GetObject).toBe(faults.length + 1);
});

const ends: readonly (readonly [what: string, fault: S3Fault, code: string, why: string])[] = [
  ["the token has expired", { kind: "answer", status: 400, error: "ExpiredToken" }, "source_refused", "sign in again"],
  ["we are not let in", { kind: "answer", status: 403, error: "AccessDenied" }, "source_refused", "not let in"],
  ["it is gone", { kind: "answer", status: 404, error: "NoSuchKey" }, "source_refused", "there is no such object"],
  [
    "another range comes",
    { kind: "headers", headers: { "content-range": "bytes 0-199999/300000" } },
    "source_failed",
    "another range",
  ],
  [
    "its size changed",
    { kind: "headers", headers: { "content-range": "bytes 1000-200999/300001" } },
    "checkpoint_changed",
    "its size is no longer 300000 bytes",
  ],
  ["its ETag changed", { kind: "headers", headers: { etag: '"other"' } }, "checkpoint_changed", "another ETag"],
];

test.each(ends)("a read fails by name when %s", { skip: skip !== undefined }, async (_, fault, code, why) => {
  await using set = await through(({ operation }) => (operation === "GetObject" ? fault : undefined));
  const file = await fileIn(set.store);
  const failure = await failureOf(read(set.store, file, 1_000, 200_000));
  expect([failure.code, failure.message]).toEqual([code, expect.stringContaining(why)]);
  expect(failure.message).toContain(file.url);
});

test.skipIf(skip)("a file that is replaced is not read any more", async () => {
  await using set = await through();
  await bucket.put("models/changing/model.safetensors", "before");
  const { files } = await set.store.find(bucket.url("models", "changing"));
  const [file] = files.values();
  await bucket.put("models/changing/model.safetensors", "after!");
  if (file === undefined) throw new Error("Nothing found");
  expect((await failureOf(read(set.store, file, 0, 6))).code).toBe("checkpoint_changed");
});

test.skipIf(skip)("what is not there, and credentials that are wrong, are refused with what to do", async () => {
  await using set = await through();
  const nothing = await failureOf(set.store.find(bucket.url("models", "nothing")));
  expect([nothing.code, nothing.message]).toEqual(["source_refused", expect.stringContaining("nothing below it")]);
  const noBucket = await failureOf(set.store.find("s3://no-such-bucket/model"));
  expect(noBucket.message).toContain("check the bucket's name");
  const env = { ...server.env(), AWS_SECRET_ACCESS_KEY: "not-the-secret-at-all" };
  const stranger = createS3Store({ env });
  const refused = await failureOf(stranger.find(bucket.url("models", "math")));
  await stranger.close();
  expect([refused.code, refused.message]).toEqual(["source_refused", expect.stringContaining("AWS_ACCESS_KEY_ID")]);
  expect(refused.message).not.toContain("not-the-secret");
});

test.skipIf(skip)("a read ends when it is aborted", async () => {
  await using set = await through(({ operation }) => (operation === "GetObject" ? { kind: "silence" } : undefined));
  const file = await fileIn(set.store);
  const abort = new AbortController();
  const reading = set.store.read(file, { offset: 0, length: 10 }, () => {}, abort.signal);
  abort.abort(new AmalgamError("canceled", "Enough"));
  expect((await failureOf(reading)).message).toBe("Enough");
});
