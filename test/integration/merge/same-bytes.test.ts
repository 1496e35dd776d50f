import { join } from "node:path";
import { expect, test } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import { familyRecipes, type MergeVariation, mergeLocally, writeFamily, writeRecipe } from "../../support/merges.js";
import { hashDirectory } from "../../support/plans.js";

// Same recipe, same bytes: whatever the agents, the way bytes travel, the size of units.

const variations: Readonly<Record<string, MergeVariation>> = {
  "two agents": { agents: 2 },
  "five agents, small units": { agents: 5, unitBytes: 150_000 },
  "two agents that stream": { agents: 2, assembly: "stream" },
  "one agent that streams tiny units": { agents: 1, slots: 2, assembly: "stream", unitBytes: 20_000 },
  "two agent processes": { agents: 2, mode: "process", unitBytes: 60_000 },
};

/** Whatever the method, threads are handed the same chunks: a few recipes stand for all. */
const threaded: MergeVariation = { agents: 2, assembly: "stream", assemblers: 2, unitBytes: 60_000 };
const threadedRecipes = ["linear", "ties_model", "union", "documents"];

test.each(Object.keys(familyRecipes))("%s gives the same files however the work is done", async (name) => {
  await using folder = await withTempDir();
  await writeFamily(folder.path);
  const recipe = await writeRecipe(folder.path, name);
  const golden = join(folder.path, "golden");
  await mergeLocally(recipe, golden, { shardBytes: 300_000 });
  const expected = await hashDirectory(golden);
  expect(Object.keys(expected)).toContain("model.safetensors.index.json");
  const outputs = await Promise.all(
    Object.entries(threadedRecipes.includes(name) ? { ...variations, threaded } : variations).map(
      async ([what, variation], i) => {
        const output = join(folder.path, `out-${i}`);
        await mergeLocally(recipe, output, { shardBytes: 300_000, ...variation });
        return [what, await hashDirectory(output)] as const;
      },
    ),
  );
  for (const [what, hashes] of outputs) expect(hashes, what).toEqual(expected);
});
