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
    { ...model, isBase: true },
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
