import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { readTensor, withTempDir } from "../../support/checkpoints.js";
import { amalgam } from "../../support/command.js";
import { filesIn, startHub } from "../../support/remote/hub.js";
import { hidden, writeLlama } from "./models.js";

const names = ["base", "code", "verse"];

test("a base of the Hub is fetched to be run, and nothing else is", async () => {
  await using folder = await withTempDir();
  const at = (name: string): string => join(folder.path, name);
  for (const [seed, name] of names.entries()) await writeLlama(at(name), seed);
  const models = names.map(async (name) => [`small/${name}`, { files: await filesIn(at(name)) }] as const);
  await using hub = await startHub({ models: Object.fromEntries(await Promise.all(models)) });
  await mkdir(at("home"));
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HOME", at("home"));
  vi.stubEnv("HF_HUB_OFFLINE", "");
  try {
    const expert = (name: string, prompt: string) => ({ source_model: `small/${name}`, positive_prompts: [prompt] });
    const experts = [expert("code", "the proof"), expert("verse", "a hen")];
    // JSON is YAML.
    await writeFile(at("config.yaml"), JSON.stringify({ base_model: "small/base", dtype: "float32", experts }));
    const outcome = await amalgam("moe", at("config.yaml"), at("out"));
    expect([outcome.code, outcome.stderr]).toEqual([0, expect.stringContaining("running the base on 2 prompts")]);
    const made = await openCheckpoint(at("out"));
    for (const layer of [0, 1]) {
      const gate = readTensor(made, `model.layers.${layer}.block_sparse_moe.gate.weight`);
      // Zeros, if it had been run where only its headers are.
      for (const row of [gate.subarray(0, hidden), gate.subarray(hidden)]) expect(Math.hypot(...row)).toBeCloseTo(1, 5);
    }
    const fetched = (await readdir(at("home"), { recursive: true })).filter((name) => name.endsWith("/config.json"));
    expect(fetched).toEqual([expect.stringContaining("models--small--base")]);
    // Its gates hold as long as the server has the same version of the base.
    const again = await amalgam("moe", at("config.yaml"), at("out"));
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("holds this merge already")]);
    expect(again.stderr).not.toContain("running the base");
  } finally {
    vi.unstubAllEnvs();
  }
});
