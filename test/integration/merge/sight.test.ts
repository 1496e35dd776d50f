import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type JobEvent, runMerge } from "../../../coordinator/job.js";
import { runAgent } from "../../../node-agent/main.js";
import { withTempDir } from "../../support/checkpoints.js";
import { familyRecipes, mergeLocally, writeFamily, writeRecipe } from "../../support/merges.js";
import { hashDirectory } from "../../support/plans.js";

// Agents see different parts of the job's files: those without a source read it from those with it, those that do not
// see the output stream. What comes out is the same.

const scratch = withTempDir();
const recipes = ["ties_model", "dare_ties", "union", "lora", "stored_documents"].filter(
  (name) => name in familyRecipes,
);
beforeAll(async () => {
  const { path } = await scratch;
  await writeFamily(join(path, "models"));
  await mkdir(join(path, "outputs"));
  await mkdir(join(path, "elsewhere"));
});
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

async function startAgent(name: string, ...roots: readonly string[]) {
  const { path } = await scratch;
  return runAgent({ name, roots: roots.map((root) => join(path, root)), slots: 1, memoryBytes: 128 << 20 });
}

/** Merges on these agents and returns the names of those that finished units. */
async function mergeOn(
  agents: readonly { readonly address: string }[],
  recipe: string,
  output: string,
  assembly: "auto" | "direct" = "auto",
): Promise<ReadonlySet<string>> {
  const finishedBy = new Set<string>();
  const onEvent = (event: JobEvent): void => {
    if (event.type === "dispatch" && event.event.type === "finished") finishedBy.add(event.event.agent.name);
  };
  await runMerge({
    ...{ recipeFile: recipe, output, assembly, onEvent, overwrite: false, shardBytes: 300_000, unitBytes: 40_000 },
    agents: { kind: "running", addresses: agents.map(({ address }) => address) },
  });
  return finishedBy;
}

test.each(recipes)("%s: an agent that sees all, one without the output, one without anything", async (name) => {
  const { path } = await scratch;
  const recipe = await writeRecipe(join(path, "models"), name);
  const golden = join(path, "outputs", `golden of ${name}`);
  await mergeLocally(recipe, golden, { shardBytes: 300_000 });
  await using all = await startAgent("all", "models", "outputs");
  await using streams = await startAgent("streams", "models");
  await using blind = await startAgent("blind", "elsewhere");
  const output = join(path, "outputs", name);
  // A document that is stored first is a source of the next, and the agent that sees the outputs has it.
  const finishedBy = await mergeOn([all, streams, blind], recipe, output);
  expect(await hashDirectory(output)).toEqual(await hashDirectory(golden));
  expect([...finishedBy].sort()).toEqual(["all", "blind", "streams"]);
});

test("what no agent can read is said before any unit runs, by name", async () => {
  const { path } = await scratch;
  const recipe = await writeRecipe(join(path, "models"), "linear");
  await using blind = await startAgent("blind", "elsewhere");
  const merging = mergeOn([blind], recipe, join(path, "outputs", "unread"));
  await expect(merging).rejects.toMatchObject({
    code: "usage",
    message: expect.stringMatching(/model\S*\.safetensors/),
  });
  await expect(merging).rejects.toThrow("no other agent has it");
});

test("direct assembly needs agents that see the output", async () => {
  const { path } = await scratch;
  const recipe = await writeRecipe(join(path, "models"), "linear");
  await using streams = await startAgent("streams", "models");
  const merging = mergeOn([streams], recipe, join(path, "outputs", "unseen"), "direct");
  await expect(merging).rejects.toMatchObject({
    code: "usage",
    message: expect.stringContaining("does not see the output's folder"),
  });
});
