import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runMerge } from "../../../coordinator/job.js";
import { randomTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { agentEntry } from "../../support/merges.js";

test("a merge that does not fit the agents' memory is refused before work, and says what would fit", async () => {
  await using folder = await withTempDir();
  const models = Array.from({ length: 40 }, (_, i) => `m${i}`);
  for (const [i, name] of models.entries()) {
    await writeCheckpoint(join(folder.path, name), { weight: randomTensor(i, [70_000], "F64") });
  }
  const recipeFile = join(folder.path, "recipe.yaml");
  const list = models.map((model) => `  - { model: ${model}, parameters: { weight: 1 } }`);
  await writeFile(recipeFile, ["merge_method: linear", "models:", ...list, ""].join("\n"));
  const merge = (memoryBytesEach: number) =>
    runMerge({
      recipeFile,
      output: join(folder.path, "out"),
      agents: { kind: "local", count: 1, mode: "thread", entry: agentEntry, slotsEach: 1, memoryBytesEach },
      assembly: "direct",
      shardBytes: 5e9,
      overwrite: false,
    });
  await expect(merge(16 << 20)).rejects.toMatchObject({ code: "usage", message: expect.stringContaining("--memory") });
  expect(await readdir(folder.path)).not.toContain("out");
  await merge(32 << 20);
  expect(await readdir(folder.path)).toContain("out");
});
