import { expect, test } from "vitest";
import { parse } from "yaml";
import { formatModelCard } from "../../../../coordinator/assemble/model-card.js";
import type { PlannedModel } from "../../../../coordinator/plan/types.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { makePlan, testRecipe } from "../../../support/plans.js";

const model: PlannedModel = {
  name: "org/one",
  directory: "/models/one",
  isBase: false,
  tensors: 1,
  bytes: 1,
  dtypes: {},
  parameters: {},
};

/** The front matter as the Hub reads it, and the text below it. */
function split(card: string): { front: Record<string, unknown>; body: string } {
  const [, front = "", body = ""] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(card) ?? [];
  return { front: parse(front) as Record<string, unknown>, body };
}

test("formatModelCard() says what was merged, how, and how to do it again", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const models = [
    { ...model, isBase: true, origin: "hf://org/one@0123" },
    { ...model, name: "./two", directory: "/cache/models--org--two/snapshots/1", parameters: { weight: 0.5 } },
    { ...model, name: "./local", parameters: { weight: 1, scope: "model" } },
  ];
  const { front, body } = split(formatModelCard({ ...plan, models }, { recipeText: testRecipe, amalgam: "1.2.3" }));
  expect(front).toEqual({
    base_model: ["org/one", "org/two"],
    base_model_relation: "merge",
    library_name: "transformers",
    tags: ["merge", "amalgam"],
  });
  expect(body).toContain("# Merged model");
  expect(body).toContain("(`linear`)");
  expect(body).toContain("| Model | `weight` | `scope` |\n| --- | --- | --- |\n| `org/one` (base) |  |  |\n");
  expect(body).toContain("| `./local` | 1 | model |");
  expect(body).toContain(`\`\`\`yaml\n${testRecipe}\`\`\``);
  expect(body).toContain("amalgam merge recipe.yaml");
  expect(body).not.toContain("/cache/");
});

test("formatModelCard() lets no name and no recipe break out of its place", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const evil = "x`|<script>alert(1)</script>\n# Heading\n---";
  const recipeText = `# \`\`\`\n${testRecipe}# \`\`\`\`\n# [link](x)`;
  const models = [{ ...model, name: evil, parameters: { note: "a | b <b>\n" } }];
  const card = formatModelCard({ ...plan, method: "unknown", models }, { recipeText, amalgam: "1" });
  const { front, body } = split(card);
  expect(front["base_model"]).toBeUndefined();
  expect(body).toContain(`\`\`\`\`\`yaml\n${recipeText}\n\`\`\`\`\`\n`);
  expect(body.split("\n").filter((line) => line.startsWith("# "))).toEqual([
    "# Merged model",
    "# ```",
    "# ````",
    "# [link](x)",
  ]);
  expect(body).toContain("| ``x`\\|<script>alert(1)</script> # Heading ---`` | a \\| b \\<b\\>  |");
});

const silent = { languages: [], datasets: [] };

test("formatModelCard() names models of the Hub by where they were found, and of other servers not", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const models = [
    { ...model, name: "org/one@main", directory: "/mirror/1", origin: "hf://org/one@0123" },
    { ...model, name: "other/two", directory: "/mirror/2", origin: "https://host/other/two" },
    { ...model, name: "hf://org/three", directory: "/mirror/3" },
    { ...model, name: "a-folder/four", directory: "/models/a-folder/four" },
  ];
  const { front, body } = split(formatModelCard({ ...plan, models }, { recipeText: testRecipe, amalgam: "1" }));
  expect(front["base_model"]).toEqual(["org/one", "org/three"]);
  expect(body).not.toMatch(/mirror|\/models\//);
});

test("formatModelCard() takes over what all sources are for, and the languages of any", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const card = (name: string, more: object) => [{ name, ...silent, ...more }];
  const one = {
    ...model,
    name: "one",
    cards: card("one", { pipelineTag: "text-generation", languages: ["en", "no"] }),
  };
  const two = {
    ...model,
    name: "two",
    cards: card("two", { pipelineTag: "text-generation", languages: ["no"], datasets: ["a/b"] }),
  };
  const three = { ...model, name: "three", cards: card("three", {}) };
  const frontOf = (...models: readonly PlannedModel[]) =>
    split(formatModelCard({ ...plan, models }, { recipeText: testRecipe, amalgam: "1" })).front;
  expect(frontOf(one, two)).toMatchObject({
    pipeline_tag: "text-generation",
    language: ["en", "no"],
    datasets: ["a/b"],
  });
  expect(frontOf(one, two, three)).not.toHaveProperty("pipeline_tag");
  expect(frontOf(three)).not.toHaveProperty("license");
});

test("formatModelCard() quotes words that YAML 1.1 takes for truths", async () => {
  await using dir = await withTempDir();
  const cards = [{ name: "a", license: "no", languages: ["no"], datasets: [], pipelineTag: "on" }];
  const plan = { ...(await makePlan(dir.path)), models: [{ ...model, cards }] };
  const card = formatModelCard(plan, { recipeText: testRecipe, amalgam: "1" });
  expect(parse(/^---\n([\s\S]*?)\n---\n/.exec(card)?.[1] ?? "", { version: "1.1" })).toMatchObject({
    license: "no",
    pipeline_tag: "on",
    language: ["no"],
  });
});

test("formatModelCard() names what else decides bytes in the command that makes it again", async () => {
  await using dir = await withTempDir();
  const plan = { ...(await makePlan(dir.path)), method: "moe" };
  const made = { kind: "moe", shardBytes: 1e6, allowIdenticalExperts: true } as const;
  const card = formatModelCard(plan, { recipeText: testRecipe, amalgam: "1", made });
  expect(card).toContain("\namalgam moe recipe.yaml --shard-size 1000000 --allow-identical-experts merged/\n");
});

test("formatModelCard() lets nothing that a source's card says break out of its place", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const evil = 'x: "y" # <b>|`';
  const cards = [
    { name: evil, license: "other", licenseName: evil, licenseLink: evil, languages: [evil], datasets: ["- a"] },
  ];
  const { front, body } = split(
    formatModelCard({ ...plan, models: [{ ...model, cards }] }, { recipeText: testRecipe, amalgam: "1" }),
  );
  expect(front).toMatchObject({
    license: "other",
    license_name: evil,
    license_link: evil,
    language: [evil],
    datasets: ["- a"],
  });
  expect(body).toContain("## Licences");
  expect(body).not.toContain("<b>|");
});
