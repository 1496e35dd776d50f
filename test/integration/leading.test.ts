import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Lead } from "../../coordinator/cluster/lead.js";
import { createLeadJob } from "../../coordinator/cluster/lead-job.js";
import { Registry } from "../../coordinator/cluster/registry.js";
import { planHere } from "../../coordinator/plan/planner.js";
import { parseRecipes } from "../../coordinator/recipe/parse.js";
import type { JobRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { MemoryEngine } from "../simulation/memory-bus.js";
import { VirtualClock } from "../simulation/virtual-clock.js";
import { withTempDir } from "../support/checkpoints.js";
import { familyRecipes, writeFamily } from "../support/merges.js";

// A coordinator's lead of a real job, in a cluster that has no agents yet.

const scratch = withTempDir();
beforeAll(async () => writeFamily(join((await scratch).path, "models")));
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

const text = familyRecipes["linear"] ?? "";
const shardBytes = 300_000;

async function digestOf(): Promise<string> {
  const recipe = parseRecipes(text, join((await scratch).path, "models", "recipe.yaml"));
  return (await planHere(recipe, { shardBytes })).digest;
}

interface Wanted {
  readonly folder: string;
  readonly text?: string;
  readonly digest?: string;
  /** What the lead is ended with once it waits for agents. */
  readonly end?: AmalgamError;
}

/** Leads a job whose output goes into a folder of the scratch directory. */
async function lead({ folder, digest, end, ...rest }: Wanted) {
  const { path } = await scratch;
  const clock = new VirtualClock();
  await using registry = await Registry.watch(new MemoryEngine(clock).client("one"), clock);
  const stop = new AbortController();
  const events: string[] = [];
  const record: JobRecord = {
    ...{ id: "job", state: "planning", cancel: false, starts: 2, leader: "one", submittedBy: "", submittedAt: "" },
    ...(digest !== undefined && { digest }),
    request: {
      recipe: { text: rest.text ?? text, file: join(path, "models", "recipe.yaml") },
      ...{ output: join(path, folder, "out"), assembly: "auto", shardBytes, overwrite: false },
    },
  };
  const led: Lead = {
    ...{ record, epoch: 1, signal: stop.signal, registry },
    assertLeading: async () => undefined,
    setState: async (state) => {
      if (state === "waiting") stop.abort(end);
    },
    abandon: () => undefined,
    progress: () => undefined,
    event: (_level, type) => events.push(type),
  };
  const result = await createLeadJob({ security: { kind: "loopback" }, assemblers: 0 })(led);
  return { result, events };
}

const elsewhere = "0".repeat(64);

test.each([
  ["that was planned as another plan elsewhere", text, /the plan is [0-9a-f]{8} and was 00000000 where the job began/],
  [
    "whose sources are not there",
    text.replace("math", "nowhere"),
    /what went well where the job began fails: .*nowhere/s,
  ],
])("a job %s is given back, and nothing is written", async (name, recipe, reason) => {
  const folder = `given back, ${name}`;
  await mkdir(join((await scratch).path, folder));
  const { result, events } = await lead({ folder, text: recipe, digest: elsewhere });
  expect(result.elsewhere).toMatch(/^Coordinator "one" cannot lead it: /);
  expect(result.elsewhere).toMatch(reason);
  expect(events).toEqual(["given back"]);
  expect(await readdir(join((await scratch).path, folder))).toEqual([]);
});

test("a job whose output's folder is not mounted here is given back, and no folder made in its place", async () => {
  const { result } = await lead({ folder: "unmounted", digest: await digestOf() });
  expect(result.elsewhere).toContain("where the job began, is not there: mount it, or create it");
  expect(await readdir((await scratch).path)).not.toContain("unmounted");
});

test("a job that nobody planned before fails where it cannot be planned", async () => {
  const leading = lead({ folder: "failed", text: text.replace("math", "nowhere") });
  await expect(leading).rejects.toMatchObject({ code: "recipe_invalid" });
});

test.each([
  ["canceled by its user before anything was done leaves nothing behind", { by: "user" }, 0],
  ["that another coordinator goes on with keeps its staging, and so its generation", {}, 1],
])("a job %s", async (name, details, left) => {
  const folder = `ended, ${name}`;
  await mkdir(join((await scratch).path, folder));
  const end = new AmalgamError("canceled", "Not here any more", { details: details as Record<string, string> });
  await expect(lead({ folder, digest: await digestOf(), end })).rejects.toMatchObject({ code: "canceled" });
  expect(await readdir(join((await scratch).path, folder))).toHaveLength(left);
});
