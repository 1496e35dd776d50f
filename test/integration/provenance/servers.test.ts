import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { formatManifest, readManifest } from "../../../coordinator/assemble/manifest.js";
import { fixture } from "../../support/adapters.js";
import { withWorkplace } from "../../support/command.js";
import { recipeFor } from "../../support/planning.js";
import { filesIn, startHub } from "../../support/remote/hub.js";
import { writeSmallModels } from "../../support/small-models.js";

// What a manifest knows of models on servers is enough to make the output again.

afterEach(() => {
  vi.unstubAllEnvs();
});

function stubHub(url: string, home: string): void {
  vi.stubEnv("HF_ENDPOINT", url);
  vi.stubEnv("HF_HOME", home);
  vi.stubEnv("HF_HUB_OFFLINE", "");
}

test("models of the Hub are taken at the commits that they were of, with the licence that all of them have", async () => {
  await using work = await withWorkplace();
  await writeSmallModels(work.path);
  const card = "---\nlicense: llama3.1\npipeline_tag: text-generation\ndatasets: [squad]\n---\n";
  const [math, code] = [await filesIn(work.at("math")), await filesIn(work.at("code"))];
  const models = {
    "family/math": { files: { ...math, "README.md": card, LICENSE: "terms of all" } },
    "family/code": { files: { ...code, "README.md": card } },
  };
  await using hub = await startHub({ models, tokens: ["hf_good"] });
  stubHub(hub.url, work.at("home"));
  const commit = hub.commitOf("family/math");
  await work.write("recipe.yaml", recipeFor("linear", ["family/math", "hf://family/code@main"], { each: "weight: 1" }));
  const merged = await work.run("merge", work.at("recipe.yaml"), work.at("out"), "--slots", "1");
  expect([merged.code, merged.stderr]).toEqual([0, expect.not.stringContaining("warning")]);
  const [first] = (await readManifest(work.at("out"))).models;
  expect(first).toMatchObject({ name: "family/math", origin: `hf://family/math@${commit}`, license: "llama3.1" });
  expect(first?.files[0]?.version).toMatch(/^[0-9a-f]{64}$/);
  const readme = await readFile(work.at("out", "README.md"), "utf8");
  expect(readme).toContain('base_model:\n- "family/math"\n- "family/code"\n');
  expect(readme).toContain('pipeline_tag: text-generation\ndatasets:\n- "squad"\nlicense: llama3.1\n');
  expect(readme).toContain('display "Built with Llama"');
  expect(await readFile(work.at("out", "LICENSE"), "utf8")).toBe("terms of all");

  hub.push("family/math", { ...code, "README.md": card });
  await mkdir(work.at("elsewhere"));
  await rename(work.at("out"), work.at("elsewhere", "out"));
  const again = await work.run("reproduce", work.at("elsewhere", "out"), "--slots", "1");
  expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(/^reproduced: 3 files/m)]);
  expect(again.stderr).toMatch(new RegExp(`^models come from "hf://family/math@${commit}", "hf://family/code@`, "m"));

  const file = work.at("elsewhere", "out", "amalgam.json");
  const manifest = await readManifest(work.at("elsewhere", "out"));
  expect(formatManifest(manifest)).not.toContain(work.path);
  const [weights] = manifest.models[1]?.files ?? [];
  if (weights !== undefined) weights.version = "before";
  await writeFile(file, formatManifest(manifest));
  const changed = await work.run("reproduce", file, work.at("again"), "--slots", "1");
  expect([changed.code, changed.stderr]).toEqual([
    1,
    expect.stringMatching(
      /^The server has another version of "model\.safetensors" of model "hf:.*" instead of "before"$/m,
    ),
  ]);
  expect(await readdir(work.path)).not.toContain("again");
});

test("adapters of the Hub are downloaded at the commits that they were of", async () => {
  await using work = await withWorkplace();
  const sides = ["left", "right"].map(
    async (side) => [`family/${side}`, { files: await filesIn(fixture(side)) }] as const,
  );
  await using hub = await startHub({ models: Object.fromEntries(await Promise.all(sides)) });
  stubHub(hub.url, work.at("home"));
  const made = await work.run("merge-adapters", "family/left", "family/right:-0.25", work.at("out"), "--rank", "2");
  expect([made.code, made.stderr]).toEqual([0, expect.not.stringContaining("Cannot")]);
  hub.push("family/left", await filesIn(fixture("right")));
  const again = await work.run("reproduce", work.at("out"));
  expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(/^reproduced: 2 files/m)]);
});
