import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import { amalgam } from "../../support/command.js";
import { hashDirectory } from "../../support/plans.js";
import { filesIn, type Hub, startHub } from "../../support/remote/hub.js";
import { writeLlama } from "../moe/models.js";

// Every command that takes models takes those of the Hub.

const names = ["base", "code", "verse"];
let folder: Awaited<ReturnType<typeof withTempDir>>;
let hub: Hub;

beforeAll(async () => {
  folder = await withTempDir();
  for (const [seed, name] of names.entries()) await writeLlama(at(name), seed);
  const models = names.map(async (name) => [`small/${name}`, { files: await filesIn(at(name)) }] as const);
  hub = await startHub({ models: Object.fromEntries(await Promise.all(models)) });
  await mkdir(at("home"));
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HOME", at("home"));
  vi.stubEnv("HF_HUB_OFFLINE", "");
});

afterAll(async () => {
  vi.unstubAllEnvs();
  for (const item of [hub, folder]) await item?.[Symbol.asyncDispose]();
});

function at(name: string): string {
  return join(folder.path, name);
}

test("moe takes experts of the Hub, and stores none of them", async () => {
  const config = async (place: (name: string) => string): Promise<string> => {
    const experts = ["code", "verse"].map((name) => `  - { source_model: ${place(name)} }\n`).join("");
    await writeFile(at("moe.yaml"), `base_model: ${place("base")}\ngate_mode: random\nseed: 1\nexperts:\n${experts}`);
    return at("moe.yaml");
  };
  expect(await amalgam("moe", await config(at), at("moe-here"))).toMatchObject({ code: 0 });
  const remote = await config((name) => `small/${name}`);
  const planned = await amalgam("moe", remote, at("moe-there"), "--plan", "--json");
  expect(planned).toMatchObject({ code: 0, stderr: "" });
  expect(planned.stdout).toContain(`hf://small/verse@${hub.commitOf("small/verse")}`);
  expect(await amalgam("moe", remote, at("moe-there"))).toMatchObject({ code: 0 });
  const [here, there] = await Promise.all(["moe-here", "moe-there"].map((name) => hashDirectory(at(name))));
  for (const name of ["amalgam.json", "README.md"]) for (const hashes of [here, there]) delete hashes?.[name];
  expect(there).toEqual(here);
  expect(await readdir(at("home"))).toEqual([]);
  expect((await readdir(folder.path)).filter((name) => name.startsWith("moe-"))).toEqual(["moe-here", "moe-there"]);
});

test("diff compares a model of the Hub with a folder", async () => {
  expect(await amalgam("diff", "small/code", at("code"))).toMatchObject({ code: 0 });
  expect(await amalgam("diff", "hf://small/code", at("verse"))).toMatchObject({ code: 1 });
});

test("an adapter extracted from models of the Hub names its base as PEFT looks for it", async () => {
  const extracting = ["extract-lora", "--model", "small/code", "--base", "hf://small/base@main", "--max-rank", "2"];
  expect(await amalgam(...extracting, at("adapter"))).toMatchObject({ code: 0 });
  expect(JSON.parse(await readFile(join(at("adapter"), "adapter_config.json"), "utf8"))).toMatchObject({
    base_model_name_or_path: "small/base",
    revision: hub.commitOf("small/base"),
  });
  const card = await readFile(join(at("adapter"), "README.md"), "utf8");
  expect(card).toContain('base_model: "small/base"');
  expect(card).toContain(`--model hf://small/code@${hub.commitOf("small/code")}`);
});
