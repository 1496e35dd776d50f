import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { collectGarbage } from "../../../coordinator/assemble/gc.js";
import { S3Folder } from "../../../coordinator/sinks/s3/bucket.js";
import { endUpload } from "../../../coordinator/sinks/s3/end-uploads.js";
import { AmalgamError } from "../../../shared/errors.js";
import { withTempDir } from "../../support/checkpoints.js";
import { testRecipe } from "../../support/plans.js";
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

/** The first rule with a fault decides. */
function anyOf(...rules: readonly S3Rule[]): S3Rule {
  return (request) => {
    for (const rule of rules) {
      const fault = rule(request);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

function lostManifest(): S3Rule {
  const faults = [lost];
  return ({ operation, key }) =>
    operation === "PutObject" && key === "merged/amalgam.json" ? faults.pop() : undefined;
}

/**
 * The output has two files of one part each, so that what comes after a fault is a repetition, or the other file's.
 * Parts are sent before anything is completed, so that one run meets the faults of both.
 */
const survived: readonly (readonly [what: string, rule: () => S3Rule])[] = [
  [
    "parts fail with 500 and 503, one arrives twice; Complete answers 200 with an error in it, and is done or not",
    () =>
      anyOf(
        toEach("UploadPart", answer(500, "InternalError"), answer(503, "SlowDown"), { kind: "twice" }),
        toEach(
          "CompleteMultipartUpload",
          answer(200, "InternalError"),
          { kind: "wrong answer", status: 200, error: "InternalError" },
          { kind: "wrong answer", status: 200, error: "InternalError" },
        ),
      ),
  ],
  [
    "one part is never answered, one's answer is lost, one arrives with other bytes; Complete is done and its answer is " +
      "lost, or says that there is no such upload",
    () =>
      anyOf(
        toEach("UploadPart", { kind: "silence" }, lost, answer(400, "BadDigest")),
        toEach(
          "CompleteMultipartUpload",
          lost,
          { kind: "wrong answer", status: 404, error: "NoSuchUpload" },
          lost,
          lost,
        ),
      ),
  ],
  [
    "an upload is gone in the middle; Complete does not find a part; the answer to the manifest is lost",
    () =>
      anyOf(
        toEach("UploadPart", answer(404, "NoSuchUpload")),
        toEach("CompleteMultipartUpload", answer(400, "InvalidPart")),
        lostManifest(),
      ),
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
    // The answer to HEAD has no body that could name a reason.
    await using set = await setUp(({ operation }) =>
      operation === "CompleteMultipartUpload" || operation === "HeadObject" ? expired : undefined,
    );
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
  expect((await failureOf({ ...direct, overwrite: true })).message).toContain('Amalgam did not write "notes.txt"');
  await bucket.put("other/amalgam.json", "{}");
  expect((await failureOf({ ...direct, url: bucket.url("other") })).code).toBe("output_refused");
  const url = bucket.url("third");
  expect(await deliver({ ...direct, url, salt: "old" })).toBe("made");
  await bucket.put("third/model.sig", "of the old one");
  expect((await failureOf({ ...direct, url })).message).toContain("replace it with --overwrite");
  expect(await deliver({ ...direct, url, overwrite: true })).toBe("made");
  expect(await deliver({ ...direct, url })).toBe("complete");
  const third = Object.fromEntries(
    Object.entries(await bucketHashes(bucket, "third")).filter(([name]) => !name.startsWith("/")),
  );
  expect(third["amalgam.json"]).toBe(golden["amalgam.json"]);
  expect(third["model.sig"]).toBe(undefined);
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

test.skipIf(skip)("what another coordinator replaces meanwhile is not removed by us", async () => {
  await using set = await setUp();
  const { bucket, direct } = set;
  await deliver({ ...direct, salt: "old" });
  await using proxy = await startS3Proxy(
    server.port,
    () => undefined,
    async ({ operation, count }) => {
      if (operation === "DeleteObject" && count === 1) await bucket.put("merged/amalgam.json", "theirs");
    },
  );
  const env = server.env(proxy.endpoint);
  const { code, message } = await failureOf({ ...direct, env, overwrite: true });
  expect([code, message]).toEqual(["output_refused", expect.stringContaining("another process wrote to it meanwhile")]);
  expect((await bucket.get("merged/amalgam.json")).toString()).toBe("theirs");
});

test.skipIf(skip)(
  "of two coordinators that replace one output, none writes its manifest over the other's files",
  async () => {
    await using set = await setUp();
    const { bucket, direct } = set;
    await using proxy = await startS3Proxy(
      server.port,
      () => undefined,
      async ({ operation, key }) => {
        if (operation !== "PutObject" || key !== "merged/config.json") return;
        await bucket.put("merged/model-00001-of-00002.safetensors", "theirs");
      },
    );
    const { message } = await failureOf({ ...direct, env: server.env(proxy.endpoint), overwrite: true });
    expect(message).toContain('another process replaced "model-00001-of-00002.safetensors" meanwhile');
    expect(await bucket.keys()).not.toContain("merged/amalgam.json");
  },
);

test.skipIf(skip)("when another coordinator makes the same output first, nothing of ours stays behind", async () => {
  await using set = await setUp();
  await using other = await withTempDir();
  await using proxy = await startS3Proxy(
    server.port,
    () => undefined,
    async ({ operation, count }) => {
      if (operation === "CompleteMultipartUpload" && count === 1) {
        await deliver({ ...set.direct, directory: other.path });
      }
    },
  );
  await deliver({ ...set.direct, env: server.env(proxy.endpoint) });
  expect(await set.bucket.uploads()).toEqual([]);
  expect((await set.bucket.versions())["merged/amalgam.json"]).toBe(1);
});

test.skipIf(skip)("whoever lost the work to another process begins no upload that nobody knows of", async () => {
  await using set = await setUp();
  let root = "";
  const { code } = await failureOf({
    ...set.direct,
    onStaged: ({ parts }) => {
      root = parts.layout.root;
    },
    step: (name) => {
      if (name === "upload-created") writeFileSync(join(root, `lock.${Number.MAX_SAFE_INTEGER}`), "{}");
    },
  });
  expect(code).toBe("fenced");
  expect(await set.bucket.uploads()).toEqual([]);
});

test.skipIf(skip)(
  "bytes that change on the disk after they were hashed are computed again and never shown",
  async () => {
    let isCommitting = false;
    await using set = await setUp(({ operation }) =>
      operation === "UploadPart" && !isCommitting ? answer(403, "AccessDenied") : undefined,
    );
    let paths: readonly string[] = [];
    const made = deliver({
      ...set.options,
      onStaged: (staging) => {
        paths = staging.paths;
      },
      step: (name) => {
        if (name !== "held" || isCommitting) return;
        isCommitting = true;
        const handle = openSync(paths[0] ?? "", "r+");
        writeSync(handle, Buffer.from("?"), 0, 1, 20_000);
        closeSync(handle);
      },
    });
    expect(await made).toBe("made");
    await expectGolden(set.bucket);
  },
);

test.skipIf(skip)("a folder that a console made is empty, and odd names are names", async () => {
  await using set = await setUp();
  const prefix = "a b+c&d=é'(1)~%41";
  await set.bucket.put(`${prefix}/`, "");
  expect(await deliver({ ...set.direct, url: set.bucket.url(prefix) })).toBe("made");
  expect(await deliver({ ...set.direct, url: set.bucket.url(prefix) })).toBe("complete");
  expect(await set.bucket.uploads()).toEqual([]);
});

test.skipIf(skip)("what an earlier try left with other bytes is replaced by who goes on from it alone", async () => {
  await using set = await setUp(({ operation, key }) =>
    operation === "PutObject" && key === "merged/amalgam.json" ? expired : undefined,
  );
  const { bucket, direct } = set;
  await using other = await withTempDir();
  await failureOf({ ...set.options, recipeText: `# Earlier\n${testRecipe}` });
  expect(await bucket.keys()).toContain("merged/README.md");
  const { message } = await failureOf({ ...direct, directory: other.path });
  expect(message).toContain("an earlier try at this one, choose another prefix or replace it with --overwrite");
  expect(await deliver(direct)).toBe("made");
  expect(await bucketHashes(bucket, "merged")).toEqual(golden);
});

test.skipIf(skip)("a part that no checksum was checked of is sent with its MD5, unless its ETag is that", async () => {
  const sums: (string | undefined)[] = [];
  await using set = await setUp(({ operation, headers, count }) => {
    if (operation !== "UploadPart") return undefined;
    sums.push(headers["content-md5"] as string | undefined);
    const unchecked = { "x-amz-checksum-crc32": undefined };
    return { kind: "headers", headers: count === 1 ? { ...unchecked, etag: '"0"' } : unchecked };
  });
  expect(await deliver(set.options)).toBe("made");
  expect(sums.map((sum) => sum?.length)).toEqual([undefined, 24, undefined]);
  await expectGolden(set.bucket);
});

test.skipIf(skip)("an upload whose id was not recorded is looked for, and nobody else's is taken for it", async () => {
  await using set = await setUp();
  const place = { bucket: set.bucket.name, key: "merged" };
  const folder = new S3Folder(place, { env: server.env() });
  const [theirs] = [
    await folder.create("a", { plan: "p", crc32: 0 }),
    await folder.create("a", { plan: "p", crc32: 0 }),
  ];
  await folder.sendPart("a", theirs, { part: 1, body: Buffer.from("a"), crc32: crc32("a") });
  await endUpload(folder, "a", { state: "creating", at: new Date().toISOString() });
  expect(await folder.uploadsSince("a", 0)).toEqual([theirs]);
  folder.close();
});

test.skipIf(skip)(
  "gc takes back what was sent for a merge that nobody goes on with, and found no secret on the disk",
  async () => {
    await using set = await setUp(({ operation }) => (operation === "CompleteMultipartUpload" ? expired : undefined));
    await failureOf(set.options);
    expect(await set.bucket.uploads()).toHaveLength(2);
    useVariables();
    const kept = await collectGarbage([set.directory]);
    expect(kept.items.map(({ isRemoved }) => isRemoved)).toEqual([false]);
    const staging = kept.items[0]?.path ?? "";
    const name = (await readdir(staging)).find((entry) => entry.startsWith("uploads.")) ?? "";
    const journal = await readFile(join(staging, name), "utf8");
    expect(journal).toContain("merged");
    expect(journal).not.toMatch(/secret-of-the-tester|X-Amz-Signature/);
    expect(await set.bucket.uploads()).toHaveLength(2);
    const { items } = await collectGarbage([set.directory], { olderThanMs: -1, now: Date.now() + 60_000 });
    expect(items.map(({ isRemoved }) => isRemoved)).toEqual([true]);
    expect(await set.bucket.uploads()).toEqual([]);
  },
);

test.skipIf(skip)("another plan with --overwrite takes back what was sent of the one before", async () => {
  await using set = await setUp(({ operation }) => (operation === "CompleteMultipartUpload" ? expired : undefined));
  await failureOf({ ...set.options, salt: "old" });
  useVariables();
  expect(await deliver({ ...set.direct, overwrite: true })).toBe("made");
  await expectGolden(set.bucket);
});
