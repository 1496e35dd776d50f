import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { JobEvent } from "../../../coordinator/job.js";
import { runAgent } from "../../../node-agent/main.js";
import { withTempDir } from "../../support/checkpoints.js";
import { amalgam } from "../../support/command.js";
import { familyRecipes, type MergeVariation, mergeLocally, writeFamily } from "../../support/merges.js";
import { filesIn, type HubModelOptions, startHub } from "../../support/remote/hub.js";
import { digestOf, failureOf, withModelsAt } from "../../support/remote-family.js";

// Models on the Hub: by name and revision, as recipes of mergekit have them.

let folderOfAll: Awaited<ReturnType<typeof withTempDir>>;
let models: string;

beforeAll(async () => {
  folderOfAll = await withTempDir();
  models = folderOfAll.path;
  await writeFamily(models);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(async () => {
  await folderOfAll[Symbol.asyncDispose]();
});

/** The family, each model on the Hub as `family/NAME`, and the environment of somebody who may read it. */
async function start(options: Partial<HubModelOptions> = {}) {
  const folder = await withTempDir();
  const [work, home] = ["work", "home"].map((name) => join(folder.path, name)) as [string, string];
  await Promise.all([work, home].map((path) => mkdir(path)));
  const entries = ["base", "math", "code", "chat", "lora"].map(async (name) => {
    return [`family/${name}`, { ...options, files: await filesIn(join(models, name)) }] as const;
  });
  const hub = await startHub({ models: Object.fromEntries(await Promise.all(entries)), tokens: ["hf_good"] });
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HOME", home);
  vi.stubEnv("HF_HUB_OFFLINE", "");
  vi.stubEnv("HF_TOKEN", "hf_good");
  const agent = await runAgent({ roots: [work, models, "hf://family"], slots: 1, providers: [] });
  const running = { addresses: [agent.address] };
  return {
    ...{ work, home, hub },
    recipe: async (name: string, at: (model: string) => string): Promise<string> => {
      await writeFile(join(work, "recipe.yaml"), withModelsAt(familyRecipes[name] ?? "", at));
      return join(work, "recipe.yaml");
    },
    merge: async (recipe: string, output: string, variation: MergeVariation = {}) => {
      // Those that there are cost less than new ones.
      await mergeLocally(recipe, join(work, output), { ...(variation.agents === undefined && running), ...variation });
      return digestOf(join(work, output));
    },
    async [Symbol.asyncDispose]() {
      for (const item of [agent, hub, folder]) await item[Symbol.asyncDispose]();
    },
  };
}

test("models by name are merged from the Hub with a token, and the output says which commits", async () => {
  await using given = await start({ isGated: true });
  const local = await given.recipe("lora", (model) => join(models, model));
  const golden = await given.merge(local, "local");
  const remote = await given.recipe("lora", (model) =>
    model === "chat" ? "hf://family/chat@main" : `family/${model}`,
  );
  const origins: (string | undefined)[] = [];
  const onEvent = (event: JobEvent): void => {
    if (event.type === "planned") origins.push(...event.plan.models.map(({ origin }) => origin));
  };
  expect(await given.merge(remote, "remote", { agents: 1, onEvent })).toBe(golden);
  expect(origins).toContain(`hf://family/chat@${given.hub.commitOf("family/chat")}`);
  expect(await readFile(join(given.work, "remote", "amalgam.json"), "utf8")).not.toContain("hf_good");
  expect(await readdir(given.home)).toEqual([]);
});

test("a branch that moves on does not change a merge that began before", async () => {
  await using given = await start();
  const recipe = await given.recipe("passthrough", (model) => `family/${model}`);
  const controller = new AbortController();
  const onEvent = (event: JobEvent): void => {
    if (event.type === "dispatch" && event.event.type === "finished") controller.abort();
  };
  const options = { unitBytes: 100_000, signal: controller.signal, onEvent };
  expect((await failureOf(given.merge(recipe, "out", options))).code).toBe("canceled");
  const [before, after] = [
    given.hub.commitOf("family/math"),
    given.hub.push("family/math", await filesIn(join(models, "base"))),
  ];
  const local = await given.recipe("passthrough", (model) => join(models, model));
  const golden = await given.merge(local, "golden");
  await given.recipe("passthrough", (model) => `family/${model}`);
  expect(await given.merge(recipe, "out")).toBe(golden);
  expect(await readFile(join(given.work, "out", "amalgam.json"), "utf8")).toContain(`hf://family/math@${before}`);
  expect((await amalgam("plan", recipe, "--json")).stdout).toContain(`"hf://family/math@${after}"`);
  await given.merge(recipe, "out", { overwrite: true });
  expect(await readFile(join(given.work, "out", "amalgam.json"), "utf8")).toContain(`hf://family/math@${after}`);
  expect((await readdir(given.work)).sort()).toEqual(["golden", "out", "recipe.yaml"]);
});

test("a commit that the Hub's cache has takes no network, and its output is the same to the byte", async () => {
  await using given = await start();
  const commit = given.hub.commitOf("family/math");
  const recipe = await given.recipe("passthrough", () => `family/math@${commit}`);
  await given.merge(recipe, "remote");
  await putIntoCache(given, "family/math", commit);
  const before = given.hub.asked.length + given.hub.cdnAsked.length;
  await given.merge(recipe, "cached", { agents: 1 });
  expect(given.hub.asked.length + given.hub.cdnAsked.length).toBe(before);
  for (const name of await readdir(join(given.work, "remote"))) {
    const [one, other] = await Promise.all(
      ["remote", "cached"].map((output) => readFile(join(given.work, output, name))),
    );
    expect(other, name).toEqual(one);
  }
});

test("an agent whose token is not good any more ends the merge with what the Hub says", async () => {
  await using given = await start({ isGated: true });
  const recipe = await given.recipe("passthrough", (model) => `family/${model}`);
  const onEvent = ({ type }: JobEvent): void => {
    if (type === "planned") vi.stubEnv("HF_TOKEN", "hf_expired");
  };
  const failure = await failureOf(given.merge(recipe, "out", { agents: 1, onEvent }));
  expect(failure.exitCode).toBe(2);
  expect(failure.message).toMatch(/"local-1".+"hf:\/\/family\/.+such token as that of HF_TOKEN/);
  expect(failure.message).not.toContain("hf_expired");
  expect(await readdir(given.work)).not.toContain("out");
});

test("all that cannot be found is complained of at once, as path and as name of the Hub", async () => {
  await using given = await start();
  const text = [
    "merge_method: linear",
    "parameters: { weight: 1 }",
    "models:",
    "  - model: ./here-not",
    "  - model: family/maths",
    "  - model: family/math@nowhere",
    "  - model: hf://family/../base",
    "  - model: https://user:secret@host/model",
    "  - model: family/math",
    "",
  ].join("\n");
  await writeFile(join(given.work, "recipe.yaml"), text);
  const { code, stdout, stderr } = await amalgam("plan", join(given.work, "recipe.yaml"));
  expect([code, stdout]).toEqual([2, ""]);
  const lines = stderr.replaceAll(given.work, "<work>").replaceAll(process.cwd(), "<here>").trim().split("\n");
  expect(lines.map((line) => line.split("  ")[0])).toEqual(
    [4, 5, 6, 7, 8].map((line) => `<work>/recipe.yaml:${line}:12`),
  );
  expect(lines[0]).toContain('Cannot find model "./here-not": there is no "<work>/here-not" nor "<here>/here-not"');
  expect(lines[1]).toContain(
    'Cannot find model "family/maths": there is no "<work>/family/maths" nor "<here>/family/maths", and on the Hub: ',
  );
  expect(lines[2]).toContain("nowhere");
  expect(lines[3]).toContain('".."');
  expect(stderr).not.toContain("secret");
});

test("a plan of models that nobody can be asked for leaves nothing behind", async () => {
  await using folder = await withTempDir();
  vi.stubEnv("TMPDIR", folder.path);
  vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9");
  vi.stubEnv("HF_HUB_OFFLINE", "");
  await writeFile(join(models, "unknown.yaml"), "merge_method: passthrough\nmodels: [{ model: family/maths }]\n");
  const { code, stderr } = await amalgam("plan", join(models, "unknown.yaml"));
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/:2:19 {2}.*there is no .*and on the Hub: .*nothing listens/),
  ]);
  expect(await readdir(folder.path)).toEqual([]);
});

/** As the Hub's own tools do: links to blobs that are named by their digests. */
async function putIntoCache(given: Awaited<ReturnType<typeof start>>, model: string, commit: string): Promise<void> {
  const { openRemoteStore } = await import("../../../shared/remote/open.js");
  const store = openRemoteStore();
  const { files } = await store.find(`hf://${model}@${commit}`);
  await store.close();
  const folder = join(given.home, "hub", `models--${model.replace("/", "--")}`);
  const snapshot = join(folder, "snapshots", commit);
  await Promise.all([mkdir(snapshot, { recursive: true }), mkdir(join(folder, "blobs"), { recursive: true })]);
  for (const [name, { version = "" }] of files) {
    await writeFile(join(folder, "blobs", version), await readFile(join(models, model.split("/")[1] ?? "", name)));
    await symlink(join("..", "..", "blobs", version), join(snapshot, name));
  }
}
