import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LocalAgents, startLocalAgents } from "../../../coordinator/dispatch/local-agents.js";
import { withTempDir } from "../../support/checkpoints.js";
import {
  agentEntry,
  familyRecipes,
  type MergeVariation,
  memoryBytesEach,
  mergeLocally,
  writeFamily,
  writeRecipe,
} from "../../support/merges.js";
import { hashDirectory } from "../../support/plans.js";

// Same recipe, same bytes: whatever the agents, the way bytes travel, the size of units. All recipes share a few agents,
// since starting them takes longer than these merges.

type Variation = Omit<MergeVariation, "agents" | "mode" | "addresses">;

/** How many agents take part, and how the work is done. Every method is cut in small and in tiny parts. */
const variations: Readonly<Record<string, readonly [agents: number, variation: Variation]>> = {
  "five agents, small units": [5, { unitBytes: 150_000 }],
  "two agents that stream tiny units": [2, { assembly: "stream", unitBytes: 40_000 }],
};

/** Whatever the method, it is large units, threads and processes that are told apart here: a few stand for all. */
const few: typeof variations = {
  "two agents": [2, {}],
  "two agents that stream": [2, { assembly: "stream" }],
};
const costly: Readonly<Record<string, MergeVariation>> = {
  "threads that take in chunks": { agents: 2, slots: 2, assembly: "stream", assemblers: 2, unitBytes: 60_000 },
  "two agent processes": { agents: 2, mode: "process", unitBytes: 60_000 },
};
const fewRecipes = ["linear", "ties_model", "della", "union", "documents"];

let root: Awaited<ReturnType<typeof withTempDir>>;
let local: LocalAgents;

beforeAll(async () => {
  root = await withTempDir();
  await writeFamily(root.path);
  local = await startLocalAgents({
    ...{ count: 5, mode: "thread", entry: agentEntry, roots: [root.path], slotsEach: 1, memoryBytesEach },
  });
});

afterAll(async () => {
  await local[Symbol.asyncDispose]();
  await root[Symbol.asyncDispose]();
});

test.each(Object.keys(familyRecipes))("%s gives the same files however the work is done", async (name) => {
  const recipe = await writeRecipe(root.path, name);
  const outputOf = async (file: string, variation: MergeVariation): Promise<Readonly<Record<string, string>>> => {
    const output = join(root.path, name, file);
    await mkdir(dirname(output), { recursive: true });
    await mergeLocally(recipe, output, { shardBytes: 300_000, ...variation });
    return hashDirectory(output);
  };
  const expected = await outputOf("golden", { addresses: local.addresses.slice(0, 1) });
  expect(Object.keys(expected)).toContain("model.safetensors.index.json");
  const isOneOfFew = fewRecipes.includes(name);
  for (const [what, [agents, variation]] of Object.entries({ ...variations, ...(isOneOfFew && few) })) {
    const addresses = local.addresses.slice(0, agents);
    expect(await outputOf(what, { ...variation, addresses }), what).toEqual(expected);
  }
  if (!isOneOfFew) return;
  for (const [what, variation] of Object.entries(costly))
    expect(await outputOf(what, variation), what).toEqual(expected);
});
