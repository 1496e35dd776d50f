import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { gatesName } from "../../../../../coordinator/moe/hidden/gates-file.js";
import { mayHold } from "../../../../../coordinator/moe/hidden/known-gates.js";
import { openMoeModels, planMoe, prepareMoe } from "../../../../../coordinator/moe/plan-moe.js";
import { parseMoeConfig } from "../../../../../coordinator/moe/read-config.js";
import { writeLlama } from "../../../../integration/moe/models.js";
import { withTempDir } from "../../../../support/checkpoints.js";

test("gates of an output are another base's where that was written after them", async () => {
  await using folder = await withTempDir();
  const [base, output] = [join(folder.path, "base"), join(folder.path, "out")];
  await writeLlama(base, 1);
  await mkdir(output);
  const expert = (prompt: string): string => `{ source_model: base, positive_prompts: [${prompt}] }`;
  const text = `base_model: base\nexperts: [${expert("the hen")}, ${expert("the code")}]\n`;
  const config = parseMoeConfig(text, join(folder.path, "config.yaml"), { allowIdenticalExperts: true });
  const look = async (): Promise<boolean> => {
    const prepared = prepareMoe(config, await openMoeModels(config));
    return mayHold(output, prepared.base, planMoe(prepared), 0);
  };
  expect(await look()).toBe(false);
  await writeFile(join(output, gatesName), "");
  expect(await look()).toBe(true);
  // Who trains a model on has other weights under the same header.
  const [first = ""] = prepareMoe(config, await openMoeModels(config)).base.checkpoint.files.map(({ path }) => path);
  const later = new Date(Date.now() + 60_000);
  await utimes(first, later, later);
  expect(await look()).toBe(false);
});
