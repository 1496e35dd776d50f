import { existsSync } from "node:fs";
import { readdir, readFile, realpath } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type MergeJob, runMerge } from "../../../coordinator/job.js";
import { openDestination } from "../../../coordinator/sinks/destination.js";
import { type RunningAgent, runAgent } from "../../../node-agent/agent.js";
import { AmalgamError } from "../../../shared/errors.js";
import { startAmalgam, withWorkplace } from "../../support/command.js";
import { hashDirectory } from "../../support/plans.js";
import { whyNoS3 } from "../../support/remote/s3-binary.js";
import { bucketHashes } from "../../support/remote/s3-outputs.js";
import { type S3Request, type S3Rule, startS3Proxy } from "../../support/remote/s3-proxy.js";
import { type S3Server, startS3Server, type TestBucket } from "../../support/remote/s3-server.js";
import { smallRecipes, writeSmallModels } from "../../support/small-models.js";

// Whole merges into a bucket, as they are typed.

const skip = whyNoS3();
const options = ["--shard-size", "64B"];
let server: S3Server;
/** Of the models. */
let sources: TestBucket;
let models: Awaited<ReturnType<typeof withWorkplace>>;
let recipe: string;
/** Started once; threads cost more than such small merges. */
let agent: RunningAgent;
beforeAll(async () => {
  models = await withWorkplace();
  await writeSmallModels(models.path);
  recipe = await models.write("recipe.yaml", smallRecipes.linear);
  if (skip !== undefined) return;
  server = await startS3Server();
  sources = await server.bucket();
  useServer();
  agent = await runAgent({ roots: [await realpath(tmpdir()), sources.url()], slots: 1 });
  await models.run("merge", recipe, models.at("local"), "--agent", agent.address, ...options);
}, 120_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await agent?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await models[Symbol.asyncDispose]();
});

/** What is started from here on finds the server, or a proxy before it. */
function useServer(endpoint?: string): void {
  for (const [name, value] of Object.entries(server.env(endpoint))) vi.stubEnv(name, value);
}

/** A folder to stage in, and a bucket that commands find through a proxy. */
async function setUp(rule: S3Rule = () => undefined, look: (request: S3Request) => Promise<void> = async () => {}) {
  const place = await withWorkplace();
  const proxy = await startS3Proxy(server.port, rule, look);
  useServer(proxy.endpoint);
  const bucket = await server.bucket();
  const url = bucket.url("models", "merged");
  return {
    place,
    bucket,
    url,
    argv: ["merge", recipe, url, "--staging", place.path, "--agent", agent.address, ...options],
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

test.skipIf(skip)(
  "a merge into a bucket makes the bytes that one into a folder makes, and leaves nothing here",
  async () => {
    await using set = await setUp();
    const { place, bucket, url, argv } = set;
    const { code, stdout, stderr } = await place.run(...argv);
    expect([code, stderr]).toEqual([0, expect.not.stringContaining("warning")]);
    expect(stdout).toMatch(new RegExp(`^${url}: `));
    expect(await bucketHashes(bucket, "models/merged")).toEqual(await hashDirectory(models.at("local")));
    expect((await readdir(place.path)).filter((name) => name.includes(".amalgam-"))).toEqual([]);
    expect((await place.run(...argv)).stdout).toBe(`${url} holds this merge already, complete\n`);
    expect((await place.run("verify", url)).stdout).toMatch(new RegExp(`^${url}: sound, `));
    const [weights = ""] = (await bucket.keys()).filter((key) => key.endsWith(".safetensors"));
    const content = await bucket.get(weights);
    content[content.length - 1] = (content.at(-1) ?? 0) ^ 1;
    await bucket.put(weights, content);
    await bucket.put("models/merged/model-9.safetensors", "?");
    const changed = await place.run("verify", url);
    expect(changed.code).toBe(1);
    expect(changed.stdout).toMatch(/ was changed: its SHA-256 is .*\n"model-9.safetensors" holds weights /);
  },
);

test.skipIf(skip)("models in a bucket are merged into a bucket, and nothing of them is stored", async () => {
  await using set = await setUp();
  const { place, bucket, argv } = set;
  for (const model of ["math", "code"]) {
    for (const name of await readdir(models.at(model))) {
      await sources.put(`${model}/${name}`, await readFile(models.at(model, name)));
    }
  }
  const text = smallRecipes.linear.replace(/model: (math|code)/g, (_, name) => `model: ${sources.url(name)}`);
  const remote = await place.write("remote.yaml", text);
  const merged = await place.run("merge", remote, bucket.url("merged"), ...argv.slice(3));
  expect(merged).toMatchObject({ code: 0 });
  const weights = "model-00001-of-00002.safetensors";
  expect(await bucket.get(`merged/${weights}`)).toEqual(await readFile(models.at("local", weights)));
  expect((await readdir(place.path)).filter((name) => name.includes(".amalgam-"))).toEqual([]);
});

test.skipIf(skip)("a merge that is killed at its first Complete goes on, and does nothing twice", async () => {
  const kills: (() => void)[] = [];
  await using set = await setUp(
    ({ operation }) => (operation === "CompleteMultipartUpload" && kills.length > 0 ? { kind: "silence" } : undefined),
    async ({ operation }) => {
      if (operation === "CompleteMultipartUpload") kills.pop()?.();
    },
  );
  await using command = startAmalgam([...set.argv, "--json"]);
  kills.push(
    () => {},
    () => void command.kill(),
  );
  expect((await command.ended).signal).toBe("SIGKILL");
  kills.length = 0;
  expect(await set.bucket.keys()).not.toContain("models/merged/amalgam.json");
  const { code, stdout } = await set.place.run(...set.argv, "--json");
  expect(code).toBe(0);
  expect(stdout).toContain('"event":"resumed"');
  expect(stdout).not.toContain('"event":"unit finished"');
  expect(stdout).toMatch(/\{"event":"sending","sent":(\d+),"bytes":\1\}\n\{"event":"done"/);
  expect(new Set(Object.values(await set.bucket.versions()))).toEqual(new Set([1]));
  expect(await set.bucket.uploads()).toEqual([]);
});

const endings = [
  ["a user cancels the job for good", { by: "user" }, 0],
  ["this process alone is to end", {}, 1],
] as const;

test.each(endings)("when %s, %o, uploads left: %i", { skip: skip !== undefined }, async (_, details, left) => {
  const cancel = new AbortController();
  await using set = await setUp(
    ({ operation }) => (operation === "CompleteMultipartUpload" ? { kind: "silence" } : undefined),
    async ({ operation }) => {
      if (operation !== "CompleteMultipartUpload") return;
      cancel.abort(new AmalgamError("canceled", "Enough", { details }));
    },
  );
  const destination = await openDestination(set.url, set.place.path);
  const job: MergeJob = {
    ...destination,
    recipeFile: recipe,
    agents: { kind: "running", addresses: [agent.address] },
    assembly: "direct",
    shardBytes: 5e9,
    overwrite: false,
    signal: cancel.signal,
  };
  await expect(runMerge(job)).rejects.toMatchObject({ code: "canceled" });
  expect(await set.bucket.uploads()).toHaveLength(left);
  expect(existsSync(`${destination.output}.amalgam-partial`)).toBe(true);
});

const refused = [
  ["https://example.com/merged", [], "outputs go to a folder or to s3://bucket/prefix"],
  ["s3://bucket", [], "name a prefix within the bucket"],
  ["s3://bucket/../merged", [], 'it has "." or ".." in its path'],
  ["merged", ["--staging", "."], "leave out --staging"],
] as const;

test.each(refused)("an output at %j is refused before anything is read", async (output, options, why) => {
  await using place = await withWorkplace();
  const { code, stderr } = await place.run("merge", "no-recipe.yaml", output, ...options);
  expect(code).toBe(2);
  expect(stderr).toContain(why);
  const submitted = await place.run("submit", recipe, output, ...options, "--nats", "nats://127.0.0.1:9");
  expect(submitted.code).toBe(2);
  expect(submitted.stderr).toContain(why);
});
