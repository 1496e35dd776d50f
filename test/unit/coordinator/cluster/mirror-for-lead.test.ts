import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Lead } from "../../../../coordinator/cluster/lead.js";
import { mirrorForLead } from "../../../../coordinator/cluster/mirror-for-lead.js";
import { parseRecipes } from "../../../../coordinator/recipe/parse.js";
import { runAgent } from "../../../../node-agent/main.js";
import { withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";
import { startStaticServer } from "../../../support/remote/static-server.js";
import { jobRecordOf, nodeRecordOf, someRequest } from "./records.js";

interface Begun {
  /** Planned before, by another leader. */
  readonly isPlanned: boolean;
  readonly maxWaitMs?: number;
}

/** A lead of a job over a model that agent "one" has, in a cluster of which one knows agent "two" at first. */
async function begin({ isPlanned, maxWaitMs }: Begun) {
  const folder = await withTempDir();
  const model = join(folder.path, "model");
  await mkdir(model);
  await writeCheckpoint(model, { weight: { dtype: "F32", shape: [2], values: [1, 2] } });
  const agent = await runAgent({ roots: [folder.path], name: "one" });
  const abort = new AbortController();
  const nodes = [nodeRecordOf("two", { address: "127.0.0.1:1" })];
  const output = join(folder.path, "out");
  const wait = maxWaitMs === undefined ? {} : { maxWaitMs };
  const told: string[] = [];
  let waits = (): void => undefined;
  const isWaiting = new Promise<void>((resolve) => {
    waits = resolve;
  });
  const lead: Pick<Lead, "record" | "registry" | "signal" | "setState" | "event"> = {
    record: jobRecordOf({ request: { ...someRequest, output, ...wait }, ...(isPlanned && { digest: "abc" }) }),
    registry: {
      get list() {
        return nodes.map((record) => ({ record }));
      },
    } as unknown as Lead["registry"],
    signal: abort.signal,
    setState: async (state, fields) => {
      told.push(fields?.reason === undefined ? state : `${state}: ${fields.reason}`);
      if (state === "waiting") waits();
    },
    event: () => undefined,
  };
  const recipe = parseRecipes(`merge_method: passthrough\nmodels: [{ model: "node://one${model}" }]\n`, "r.yaml");
  return {
    lead,
    recipe,
    told,
    isWaiting,
    abort,
    stages: `${output}.amalgam-stages`,
    comes: (address = agent.address) => nodes.push(nodeRecordOf("one", { address })),
    goes: () => nodes.pop(),
    async [Symbol.asyncDispose]() {
      abort.abort();
      await agent[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const missing = /^waiting: r\.yaml:2:19 {2}Cannot find model ".+": there is no agent "one", expected one of "two"$/;

test("a job that was planned before waits for the agent that has its model, and says so", async () => {
  await using given = await begin({ isPlanned: true });
  const mirroring = mirrorForLead(given.recipe, given.lead, { firstMs: 0 });
  await given.isWaiting;
  given.comes();
  const mirrors = await mirroring;
  expect([...mirrors.files.values()].map(({ agent }) => agent)).toContain("one");
  expect(given.told).toEqual([expect.stringMatching(missing), "planning"]);
  await mirrors.remove();
  expect(existsSync(given.stages)).toBe(false);
});

test("a job that is planned for the first time complains of an agent that does not come soon", async () => {
  await using given = await begin({ isPlanned: false });
  const mirroring = mirrorForLead(given.recipe, given.lead, { firstMs: 0 });
  await expect(mirroring).rejects.toMatchObject({ code: "recipe_invalid" });
  expect(given.told).toEqual([]);
});

test("that a job was mirrored before is known from the storage, whatever the engine says", async () => {
  await using given = await begin({ isPlanned: false });
  given.comes();
  await mirrorForLead(given.recipe, given.lead);
  given.goes();
  const mirroring = mirrorForLead(given.recipe, given.lead, { firstMs: 0 });
  await given.isWaiting;
  given.comes();
  await mirroring;
});

test("an agent that is there and does not answer is asked again, whenever the job was planned", async () => {
  await using given = await begin({ isPlanned: false });
  given.comes("127.0.0.1:1");
  const mirroring = mirrorForLead(given.recipe, given.lead, { firstMs: 0 });
  await given.isWaiting;
  given.goes();
  given.comes();
  await mirroring;
  expect(given.told).toEqual([expect.stringMatching(/^waiting: .*127\.0\.0\.1:1/), "planning"]);
});

test("nobody waits longer than the job's request says", async () => {
  await using given = await begin({ isPlanned: true, maxWaitMs: 0 });
  const mirroring = mirrorForLead(given.recipe, given.lead);
  await expect(mirroring).rejects.toMatchObject({
    code: "agent_lost",
    message: expect.stringMatching(/^No agent with the models came for 0 s: .*there is no agent "one"/),
  });
});

test("the lead's end ends the waiting", async () => {
  await using given = await begin({ isPlanned: true });
  const mirroring = mirrorForLead(given.recipe, given.lead);
  const ended = expect(mirroring).rejects.toThrow("is over");
  await given.isWaiting;
  given.abort.abort(new Error("is over"));
  await ended;
});

test("mirrors of another recipe for the same output stay", async () => {
  await using given = await begin({ isPlanned: false });
  given.comes();
  const mirrors = await mirrorForLead(given.recipe, given.lead);
  const others = await mirrorForLead({ ...given.recipe, text: "another" }, given.lead);
  await mirrors.remove();
  for (const path of mirrors.files.keys()) expect(existsSync(path)).toBe(false);
  for (const path of others.files.keys()) expect(existsSync(path)).toBe(true);
});

test("a path that may be a model of the Hub is complained of soon where no Hub can be reached", async () => {
  await using given = await begin({ isPlanned: false });
  const recipe = parseRecipes("merge_method: passthrough\nmodels: [{ model: models/mispelt }]\n", "r.yaml");
  const env = { HF_ENDPOINT: "http://127.0.0.1:9" };
  const mirroring = mirrorForLead(recipe, given.lead, { firstMs: 0, env });
  await expect(mirroring).rejects.toThrow(/^r\.yaml:2:19 {2}Cannot find model "models\/mispelt": there is no /);
  expect(given.told).toEqual([]);
  expect(existsSync(given.stages)).toBe(false);
});

test("a job's address does not lead a coordinator to hosts that only it sees", async () => {
  await using given = await begin({ isPlanned: false });
  await using server = await startStaticServer({ "/m/model.safetensors": "12345678" });
  const url = `${server.url}/m`;
  const recipe = parseRecipes(`merge_method: passthrough\nmodels: [{ model: "${url}" }]\n`, "r.yaml");
  await expect(mirrorForLead(recipe, given.lead)).rejects.toThrow(/^r\.yaml:2:19 {2}.*public Internet.*--allow-source/);
  expect(server.asked).toEqual([]);
  expect(existsSync(given.stages)).toBe(false);
  const mirrors = await mirrorForLead(recipe, given.lead, { reach: { roots: [server.url] } });
  expect([...mirrors.files.values()].map(({ path }) => path)).toEqual([`${url}/model.safetensors`]);
});
