import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startAmalgam, withWorkplace } from "../../support/command.js";
import { type NatsServer, startNatsServer, whyNoNats } from "../../support/nats-server.js";
import { whyNoS3 } from "../../support/remote/s3-binary.js";
import { startS3Proxy } from "../../support/remote/s3-proxy.js";
import { type S3Server, startS3Server } from "../../support/remote/s3-server.js";
import { smallRecipes, writeSmallModels } from "../../support/small-models.js";

// A cluster's coordinator brings an output into a bucket, and takes back what it sent when the job is canceled.

const skip = whyNoS3() ?? whyNoNats();
let server: S3Server | undefined;
let nats: NatsServer | undefined;
beforeAll(async () => {
  if (skip !== undefined) return;
  server = await startS3Server();
  nats = await startNatsServer();
}, 120_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await server?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

test.skipIf(skip)("a job into a bucket is canceled without a trace there, and the same job again is done", async () => {
  if (server === undefined || nats === undefined) throw new Error(skip);
  await using place = await withWorkplace();
  await writeSmallModels(place.path);
  const recipe = await place.write("recipe.yaml", smallRecipes.linear);
  let isSilent = true;
  let reached = (): void => undefined;
  const isSent = new Promise<void>((resolve) => {
    reached = resolve;
  });
  await using proxy = await startS3Proxy(server.port, ({ operation }) => {
    if (operation !== "CompleteMultipartUpload" || !isSilent) return undefined;
    reached();
    return { kind: "silence" };
  });
  const variables = { ...server.env(proxy.endpoint), AMALGAM_NATS: nats.url };
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  const bucket = await server.bucket();
  await using coordinator = startAmalgam(["coordinator", "--name", "one", "--assemblers", "1"]);
  await using _agent = startAmalgam(["agent", "--root", place.path, "--slots", "1", "--name", "two"]);
  const submit = ["submit", recipe, bucket.url("merged"), "--json"];
  expect(await place.run(...submit)).toMatchObject({ code: 2, stderr: expect.stringContaining("with --staging") });
  const submitted = await place.run(...submit, "--staging", place.path, "--detach");
  const { job } = JSON.parse(submitted.stdout) as { job: string };
  await isSent;
  expect(await bucket.uploads()).toEqual(["merged/model.safetensors"]);
  expect(await place.run("cancel", job)).toMatchObject({ code: 0 });
  expect(await bucket.uploads()).toEqual([]);
  expect(await bucket.keys()).toEqual([]);
  isSilent = false;
  expect(await place.run(...submit, "--staging", place.path, "--watch")).toMatchObject({ code: 0 });
  expect(await bucket.keys()).toContain("merged/amalgam.json");
  expect((await place.run("verify", bucket.url("merged"))).code).toBe(0);
  expect(coordinator.child.exitCode).toBe(null);
});
