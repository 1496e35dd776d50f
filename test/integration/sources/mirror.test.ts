import { cp, mkdir, mkdtemp, open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectAgents } from "../../../coordinator/dispatch/agents.js";
import { locateSources } from "../../../coordinator/dispatch/locate.js";
import { openModels } from "../../../coordinator/plan/open-models.js";
import { planMerge } from "../../../coordinator/plan/plan.js";
import { parseRecipes } from "../../../coordinator/recipe/parse.js";
import { mirrorNodeModels, placesOf } from "../../../coordinator/sources/mirror.js";
import { runAgent } from "../../../node-agent/main.js";
import { withTempDir } from "../../support/checkpoints.js";
import { familyRecipes, writeFamily } from "../../support/merges.js";
import { streamPlan } from "../../support/one-agent.js";

// Models that only an agent has: planned from mirrors of their headers, merged from where they are.

/** Where the family's models are: some with one agent, some with another, whose roots have nothing in common. */
const homes: Readonly<Record<string, "one" | "two">> = {
  base: "one",
  math: "one",
  code: "two",
  chat: "two",
  lora: "two",
};

async function start() {
  const folder = await withTempDir();
  const [one, two, family] = ["one", "two", "family"].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  await Promise.all([one, two, family].map((path) => mkdir(path)));
  await writeFamily(family);
  for (const [model, home] of Object.entries(homes)) {
    await cp(join(family, model), join(folder.path, home, model), { recursive: true, preserveTimestamps: true });
  }
  const agents = await Promise.all([
    runAgent({ roots: [one], name: "one", slots: 2 }),
    runAgent({ roots: [two], name: "two", slots: 2 }),
    runAgent({ roots: [family], name: "all", slots: 2 }),
  ]);
  return {
    folder: folder.path,
    family,
    all: agents[2],
    pair: agents.slice(0, 2),
    addresses: new Map(agents.slice(0, 2).map(({ name, address }) => [name, address])),
    /** In the family's folder. */
    async copyOf(model: string): Promise<string> {
      const copy = await mkdtemp(join(family, `${model}-`));
      await cp(join(family, model), copy, { recursive: true });
      return copy;
    },
    async [Symbol.asyncDispose]() {
      for (const item of [...agents, folder]) await item[Symbol.asyncDispose]();
    },
  };
}

let given: Awaited<ReturnType<typeof start>>;

beforeAll(async () => {
  given = await start();
});

afterAll(async () => {
  await given[Symbol.asyncDispose]();
});

/** The recipe with every model named by where it is. */
function withNodes(recipe: string, folder: string): string {
  return recipe.replace(/\b(base|math|code|chat|lora)\b(?=[\s,}+]|$)(?!:)/g, (model) => {
    return `node://${homes[model]}${join(folder, homes[model] ?? "", model)}`;
  });
}

test.each(["linear", "dare_ties", "slices", "union", "lora"])(
  "%s over models that no machine has together gives the same bytes",
  async (name) => {
    const text = familyRecipes[name] ?? "";
    const file = join(given.family, "recipe.yaml");
    const local = parseRecipes(text, file);
    const plan = planMerge(local, await openModels(local));
    const golden = await streamPlan(plan, given.all.address);
    const mirrors = await mirrorNodeModels(parseRecipes(withNodes(text, given.folder), file), {
      agents: given.addresses,
      directory: await mkdtemp(join(given.folder, "mirrors-")),
    });
    const mirrored = planMerge(mirrors.recipe, await openModels(mirrors.recipe));
    expect(mirrored.digest).toBe(plan.digest);
    expect(mirrored.models.map((model) => model.name).join()).toContain("node://one/");
    const placeOf = placesOf(mirrored, mirrors);
    await using agents = await connectAgents(given.pair.map(({ address }) => address));
    const located = await Promise.all(agents.list.map((agent) => locateSources(agent, mirrored, { placeOf })));
    const peersOf = (source: number): readonly string[] =>
      located.filter((sight) => sight.has(source)).map(({ agent }) => agent);
    mirrored.sources.forEach((_, source) => {
      expect(peersOf(source)).toHaveLength(1);
    });
    for (const agent of given.pair) {
      const merged = await streamPlan(mirrored, agent.address, { placeOf, peersOf });
      expect(merged.sha256, `by agent ${agent.name}`).toBe(golden.sha256);
    }
  },
  60_000,
);

test("a mirror takes no space for weights, holds the small files, and is the same when it is made again", async () => {
  const original = await given.copyOf("math");
  await writeFile(join(original, "weights.bin"), new Uint8Array(100_000));
  await writeFile(join(original, ".hidden.json"), "{}");
  const recipe = parseRecipes(`merge_method: passthrough\nmodels: [{ model: "node://all${original}" }]\n`, "r.yaml");
  const options = {
    agents: new Map([["all", given.all.address]]),
    directory: await mkdtemp(join(given.folder, "mirrors-")),
  };
  const first = await mirrorNodeModels(recipe, options);
  const names = [...first.files.keys()].map((path) => path.slice(path.lastIndexOf("/") + 1));
  expect(names).toContain("model-00002-of-00003.safetensors");
  expect(names).toContain("tokenizer.json");
  expect(names).not.toContain("weights.bin");
  expect(names).not.toContain(".hidden.json");
  for (const [path, { agent, path: place, modifiedMs }] of first.files) {
    const [copy, file] = await Promise.all([stat(path), stat(place)]);
    expect(agent).toBe("all");
    expect(modifiedMs).toBe(file.mtimeMs);
    expect(copy.size).toBe(file.size);
    expect(Math.abs(copy.mtimeMs - file.mtimeMs)).toBeLessThan(0.01);
    if (path.endsWith("00001-of-00003.safetensors")) expect(copy.blocks * 512).toBeLessThan(file.size / 2);
  }
  const times = await Promise.all([...first.files.keys()].map(async (path) => (await stat(path)).mtimeMs));
  const again = await mirrorNodeModels(recipe, options);
  expect(again.files).toEqual(first.files);
  expect(await Promise.all([...again.files.keys()].map(async (path) => (await stat(path)).mtimeMs))).toEqual(times);
});

test("a mirror is replaced as a whole: whoever reads it sees the old one or the new one", async () => {
  const original = await given.copyOf("math");
  const recipe = parseRecipes(`merge_method: passthrough\nmodels: [{ model: "node://all${original}" }]\n`, "r.yaml");
  const options = {
    agents: new Map([["all", given.all.address]]),
    directory: await mkdtemp(join(given.folder, "mirrors-")),
  };
  const { files } = await mirrorNodeModels(recipe, options);
  const [path = ""] = [...files.keys()].filter((file) => file.endsWith("config.json"));
  await using reader = await open(path);
  const before = await reader.readFile("utf8");
  await writeFile(join(original, "config.json"), JSON.stringify({ model_type: "other" }));
  await mirrorNodeModels(recipe, options);
  const seen = Buffer.alloc(before.length);
  await reader.read(seen, 0, seen.length, 0);
  expect(seen.toString()).toBe(before);
  expect(await readFile(path, "utf8")).toContain("other");
  expect((await readdir(dirname(path))).sort()).toEqual((await readdir(original)).sort());
});

test("a recipe without such models is left as it is", async () => {
  const recipe = parseRecipes("merge_method: passthrough\nmodels: [{ model: ./a }]\n", "r.yaml");
  const mirrors = await mirrorNodeModels(recipe, { agents: new Map(), directory: "/nowhere" });
  expect(mirrors.recipe).toBe(recipe);
  expect(mirrors.files.size).toBe(0);
});

test.each([
  ["node://onee/m", 'there is no agent "onee", did you mean "one"?'],
  ["node://elsewhere/m", 'there is no agent "elsewhere", expected one of "one", "two"'],
  ["node://one", 'it is written "node://AGENT/path/of/model"'],
  ["node://one/a/../b", 'it is written "node://AGENT/path/of/model"'],
])("%s is complained of with its place in the recipe", async (name, problem) => {
  const recipe = parseRecipes(`merge_method: passthrough\nmodels: [{ model: ${name} }]\n`, "r.yaml");
  const agents = new Map(["one", "two"].map((agent) => [agent, "127.0.0.1:1"]));
  const options = { agents, directory: "/nowhere" };
  await expect(mirrorNodeModels(recipe, options)).rejects.toMatchObject({
    code: "recipe_invalid",
    message: expect.stringMatching(/^r\.yaml:2:19 {2}/),
  });
  await expect(mirrorNodeModels(recipe, options)).rejects.toThrow(problem);
});

test("models that their agents refuse or do not have are complained of together", async () => {
  const none = join(given.folder, "two", "none");
  const text = `merge_method: linear
models:
  - { model: "node://one/etc", parameters: { weight: 1 } }
  - { model: "node://two${none}", parameters: { weight: 1 } }
`;
  const options = { agents: given.addresses, directory: await mkdtemp(join(given.folder, "mirrors-")) };
  const [first, second] = await mirrorNodeModels(parseRecipes(text, "r.yaml"), options).then(
    () => [],
    (error: Error) => error.message.split("\n"),
  );
  expect(first).toMatch(
    /^r\.yaml:3:14 {2}Cannot use model "node:\/\/one\/etc": agent "one" says: Cannot list "\/etc": it is outside/,
  );
  expect(second).toMatch(/^r\.yaml:4:14 {2}.*agent "two" says: .*it does not exist$/);
});

test("without a cluster such a model is complained of as such", async () => {
  const recipe = parseRecipes("merge_method: passthrough\nmodels: [{ model: node://one/m }]\n", "r.yaml");
  await expect(openModels(recipe)).rejects.toThrow('r.yaml:2:19  Cannot open model "node://one/m": only a cluster can');
});
