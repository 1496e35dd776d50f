import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { collectGarbage } from "../../../coordinator/assemble/gc.js";
import { AmalgamError } from "../../../shared/errors.js";
import { withTempDir } from "../../support/checkpoints.js";
import { whyNoS3 } from "../../support/remote/s3-binary.js";
import { bucketHashes, type DeliverOptions, deliver, localHashes } from "../../support/remote/s3-outputs.js";
import { type S3Fault, type S3Operation, type S3Rule, startS3Proxy } from "../../support/remote/s3-proxy.js";
import { type S3Server, startS3Server, type TestBucket } from "../../support/remote/s3-server.js";

// Whatever a server of S3 does to requests, an output is there whole and once, or not at all and the error says why.

const skip = whyNoS3();
const scratch = withTempDir();
let server: S3Server;
let golden: Record<string, string>;
beforeAll(async () => {
  if (skip !== undefined) return;
  server = await startS3Server();
  golden = await localHashes((await scratch).path);
}, 120_000);
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await (await scratch)[Symbol.asyncDispose]();
});

const idleMs = 700;

/** Bucket, staging directory and a proxy in between. */
async function setUp(rule: S3Rule = () => undefined) {
  const dir = await withTempDir();
  const proxy = await startS3Proxy(server.port, rule);
  const bucket = await server.bucket();
  const options: DeliverOptions = {
    directory: dir.path,
    url: bucket.url("merged"),
    env: server.env(proxy.endpoint),
    idleMs,
  };
  return {
    bucket,
    options,
    proxy,
    directory: dir.path,
    direct: { ...options, env: server.env() },
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

async function expectGolden(bucket: TestBucket): Promise<void> {
  expect(await bucketHashes(bucket, "merged")).toEqual(golden);
  expect(Object.values(await bucket.versions()).filter((count) => count !== 1)).toEqual([]);
  expect(await bucket.uploads()).toEqual([]);
}

async function failureOf(options: DeliverOptions): Promise<AmalgamError> {
  const reason: unknown = await deliver(options).catch((error: unknown) => error);
  if (!(reason instanceof AmalgamError)) throw new Error("It did not fail", { cause: reason });
  return reason;
}

/** What takes back uploads looks for the server where every command does. */
function useVariables(): void {
  for (const [name, value] of Object.entries(server.env())) vi.stubEnv(name, value);
}
afterEach(() => void vi.unstubAllEnvs());

/** One fault after the other, done to requests of an operation in the order in which they come. */
function toEach(operation: S3Operation, ...faults: readonly S3Fault[]): S3Rule {
  return (request) => (request.operation === operation ? faults[request.count - 1] : undefined);
}

function answer(status: number, error: string): S3Fault {
  return { kind: "answer", status, error };
}

const lost: S3Fault = { kind: "lost answer" };
const broken = answer(500, "InternalError");
const expired = answer(400, "ExpiredToken");

/** The output has two files of one part each, so that what comes after a fault is a repetition, or the other file's. */
const survived: readonly (readonly [what: string, rule: () => S3Rule])[] = [
  [
    "parts fail with 500 and 503, and one arrives twice",
    () => toEach("UploadPart", answer(500, "InternalError"), answer(503, "SlowDown"), { kind: "twice" }),
  ],
  [
    "one part is never answered, one's answer is lost, one arrives with other bytes",
    () => toEach("UploadPart", { kind: "silence" }, lost, answer(400, "BadDigest")),
  ],
  [
    "Complete answers 200 with an error in it, and is done or not",
    () =>
      toEach(
        "CompleteMultipartUpload",
        answer(200, "InternalError"),
        { kind: "wrong answer", status: 200, error: "InternalError" },
        { kind: "wrong answer", status: 200, error: "InternalError" },
      ),
  ],
  [
    "Complete is done and its answer is lost, or says that there is no such upload",
    () =>
      toEach("CompleteMultipartUpload", lost, { kind: "wrong answer", status: 404, error: "NoSuchUpload" }, lost, lost),
  ],
  ["Complete does not find a part", () => toEach("CompleteMultipartUpload", answer(400, "InvalidPart"))],
  ["an upload is gone in the middle", () => toEach("UploadPart", answer(404, "NoSuchUpload"))],
  [
    "the manifest is written and the answer is lost",
    () => {
      const faults = [lost];
      return ({ operation, key }) =>
        operation === "PutObject" && key === "merged/amalgam.json" ? faults.pop() : undefined;
    },
  ],
  [
    "the server knows no checksums",
    () => (request) =>
      Object.keys(request.headers).some((name) => name.startsWith("x-amz-checksum"))
        ? answer(501, "NotImplemented")
        : undefined,
  ],
  [
    "the server knows no conditions",
    () => (request) => (request.headers["if-none-match"] === undefined ? undefined : answer(501, "NotImplemented")),
  ],
];

for (const [what, rule] of survived) {
  test.skipIf(skip)(`the output is there whole and once although ${what}`, async () => {
    await using set = await setUp(rule());
    expect(await deliver(set.options)).toBe("made");
    await expectGolden(set.bucket);
  });
}

test.skipIf(skip)(
  "credentials that expire end it with what to do, and new ones go on with the same uploads",
  async () => {
    await using set = await setUp(({ operation }) => (operation === "CompleteMultipartUpload" ? expired : undefined));
    const { code, message } = await failureOf(set.options);
    expect(code).toBe("output_refused");
    expect(message).toBe(
      `Cannot write to "${set.bucket.url("merged")}": the credentials have expired: sign in again, or set a new ` +
        "AWS_SESSION_TOKEN, then run the same command again, it goes on (ExpiredToken (400))",
    );
    expect(await set.bucket.keys()).toEqual([]);
    const sent = set.proxy.counts.UploadPart;
    await using again = await startS3Proxy(server.port, () => undefined);
    expect(await deliver({ ...set.options, env: server.env(again.endpoint) })).toBe("made");
    expect([sent, again.counts.UploadPart]).toEqual([2, undefined]);
    await expectGolden(set.bucket);
  },
);

test.skipIf(skip)(
  "a server that stays broken fails the merge, whose work is kept",
  async () => {
    await using set = await setUp(({ operation }) => (operation === "UploadPart" ? broken : undefined));
    const { code, retryable } = await failureOf(set.options);
    expect([code, retryable]).toEqual(["io_failed", true]);
    expect(await set.bucket.keys()).toEqual([]);
    expect(await deliver(set.direct)).toBe("made");
    await expectGolden(set.bucket);
  },
  60_000,
);

test.skipIf(skip)("a bucket that is not there, or not ours, is told before any work", async () => {
  await using set = await setUp();
  const elsewhere = await failureOf({ ...set.direct, url: "s3://no-such-bucket/merged" });
  expect([elsewhere.code, elsewhere.message]).toEqual([
    "output_refused",
    expect.stringContaining("check the bucket's name"),
  ]);
  const env = { ...server.env(), AWS_SECRET_ACCESS_KEY: "not-the-secret-at-all" };
  const stranger = await failureOf({ ...set.direct, env });
  expect(stranger.message).toContain("the credentials are not let in");
  expect(stranger.message).not.toContain("not-the-secret");
});

const unwelcome = [
  [
    { kind: "answer", status: 403, error: "AccessDenied" },
    "output_refused",
    "the bucket's policy (AccessDenied (403))",
  ],
  [broken, "io_failed", "the server answered InternalError (500)"],
] as const;

test.each(unwelcome)(
  "a bucket that may be read and not written is told before any work: %o",
  { skip: skip !== undefined },
  async (fault, code, why) => {
    await using set = await setUp(({ operation }) => (operation === "CreateMultipartUpload" ? fault : undefined));
    const failure = await failureOf({ ...set.options, step: (name) => expect(name).not.toBe("accepted") });
    expect([failure.code, failure.message]).toEqual([code, expect.stringContaining(why)]);
    expect((await readdir(set.directory)).filter((name) => name.includes(".amalgam-"))).toEqual([]);
  },
);

test.skipIf(skip)("only what Amalgam wrote is replaced, and only with --overwrite", async () => {
  await using set = await setUp();
  const { bucket, direct } = set;
  await bucket.put("merged/notes.txt", "mine");
  expect((await failureOf({ ...direct, overwrite: true })).message).toContain(
    "something is there that Amalgam did not",
  );
  await bucket.put("other/amalgam.json", "{}");
  expect((await failureOf({ ...direct, url: bucket.url("other") })).code).toBe("output_refused");
  const url = bucket.url("third");
  expect(await deliver({ ...direct, url, salt: "old" })).toBe("made");
  expect((await failureOf({ ...direct, url })).message).toContain("replace it with --overwrite");
  expect(await deliver({ ...direct, url, overwrite: true })).toBe("made");
  expect(await deliver({ ...direct, url })).toBe("complete");
  const third = Object.fromEntries(
    Object.entries(await bucketHashes(bucket, "third")).filter(([name]) => !name.startsWith("/")),
  );
  expect(third["amalgam.json"]).toBe(golden["amalgam.json"]);
  expect(third["model-00001-of-00002.safetensors"]).toBe(golden["model-00001-of-00002.safetensors"]);
});

test.skipIf(skip)("what somebody else put there meanwhile is not replaced", async () => {
  await using set = await setUp();
  const name = "merged/model-00002-of-00002.safetensors";
  // After the last look at the folder.
  await using proxy = await startS3Proxy(
    server.port,
    () => undefined,
    async ({ operation }) => {
      if (operation === "CompleteMultipartUpload") await set.bucket.put(name, "theirs");
    },
  );
  const { code, message } = await failureOf({ ...set.direct, env: server.env(proxy.endpoint) });
  expect(code).toBe("output_refused");
  expect(message).toContain("another process put");
  expect((await set.bucket.get(name)).toString()).toBe("theirs");
  expect((await set.bucket.keys()).includes("merged/amalgam.json")).toBe(false);
});

test.skipIf(skip)("gc takes back what was sent for a merge that nobody goes on with", async () => {
  await using set = await setUp(({ operation }) => (operation === "CompleteMultipartUpload" ? expired : undefined));
  await failureOf(set.options);
  expect(await set.bucket.uploads()).toHaveLength(2);
  useVariables();
  const kept = await collectGarbage([set.directory]);
  expect(kept.items.map(({ isRemoved }) => isRemoved)).toEqual([false]);
  expect(await set.bucket.uploads()).toHaveLength(2);
  const { items } = await collectGarbage([set.directory], { olderThanMs: -1, now: Date.now() + 60_000 });
  expect(items.map(({ isRemoved }) => isRemoved)).toEqual([true]);
  expect(await set.bucket.uploads()).toEqual([]);
});

test.skipIf(skip)("another plan with --overwrite takes back what was sent of the one before", async () => {
  await using set = await setUp(({ operation }) => (operation === "CompleteMultipartUpload" ? expired : undefined));
  await failureOf({ ...set.options, salt: "old" });
  useVariables();
  expect(await deliver({ ...set.direct, overwrite: true })).toBe("made");
  await expectGolden(set.bucket);
});

test.skipIf(skip)("no secret is written beside the staged files", async () => {
  await using set = await setUp(({ operation }) => (operation === "CompleteMultipartUpload" ? expired : undefined));
  await failureOf(set.options);
  const { items } = await collectGarbage([set.directory], { dryRun: true });
  const staging = items[0]?.path ?? "";
  const name = (await readdir(staging)).find((entry) => entry.startsWith("uploads.")) ?? "";
  const journal = await readFile(join(staging, name), "utf8");
  expect(journal).toContain("merged");
  expect(journal).not.toMatch(/secret-of-the-tester|X-Amz-Signature/);
});
