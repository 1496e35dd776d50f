import { mkdir, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { writeCompanions } from "../../../../../coordinator/assemble/companions.js";
import { formatModelCard } from "../../../../../coordinator/assemble/model-card.js";
import { planHere } from "../../../../../coordinator/plan/planner.js";
import { readRecipe } from "../../../../../coordinator/recipe/read.js";
import { withWorkplace } from "../../../../support/command.js";
import { smallRecipes, writeSmallModels } from "../../../../support/small-models.js";

// What sources say of their licences, on its way to whoever uses the merge.

async function withLicenses(math: string, code: string) {
  const work = await withWorkplace();
  await writeSmallModels(work.path);
  await work.write("linear.yaml", smallRecipes.linear);
  await work.write("math/README.md", `---\n${math}\n---\n# Math\n`);
  await work.write("code/README.md", `---\n${code}\n---\n# Code\n`);
  await writeFile(work.at("math", "LICENSE"), "terms of math");
  await mkdir(work.at("out"));
  return work;
}

function frontOf(card: string): unknown {
  const [, front = ""] = /^---\n([\s\S]*?)\n---\n/.exec(card) ?? [];
  return parse(front);
}

test("a conflict is told before any work is done, and in the card", async () => {
  await using work = await withLicenses(
    "license: cc-by-nc-4.0\nlanguage: en",
    "license: apache-2.0\nlanguage: [de, en]",
  );
  const why =
    '"math" (cc-by-nc-4.0) forbids commercial use, and so does the merge, whatever "code" (apache-2.0) allows';
  const told = await work.run("plan", work.at("linear.yaml"), "--strict");
  expect([told.code, told.stdout]).toEqual([1, expect.stringContaining(`warning: Licences: ${why}`)]);

  const plan = await planHere(await readRecipe(work.at("linear.yaml")), {});
  const card = formatModelCard(plan, { recipeText: smallRecipes.linear, amalgam: "1" });
  expect(frontOf(card)).toMatchObject({
    license: "other",
    license_name: "apache-2.0-and-cc-by-nc-4.0",
    language: ["en", "de"],
  });
  expect(card).toContain("forbids commercial use");
  expect(card).toContain("no legal advice");
  const { files } = await writeCompanions(plan, work.at("out"));
  expect(files.map(({ name }) => name)).toEqual(["config.json"]);
});

test("two licences without a name are not taken for one, whose text one model has", async () => {
  await using work = await withLicenses("license: other", "license: other");
  const plan = await planHere(await readRecipe(work.at("linear.yaml")), {});
  expect(plan.warnings.join("\n")).toContain('The terms of "code" (other) are not known to Amalgam');
  const { files } = await writeCompanions(plan, work.at("out"));
  expect(files.map(({ name }) => name)).not.toContain("LICENSE");
});
