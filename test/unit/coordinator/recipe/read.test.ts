import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readRecipe } from "../../../../coordinator/recipe/read.js";
import { withTempDir } from "../../../support/checkpoints.js";

const stage = (name: string, model: string) => `name: ${name}\nmerge_method: linear\nmodels: [{ model: ${model} }]\n`;

test("readRecipe() reads all recipes of a file, and keeps its text", async () => {
  await using folder = await withTempDir();
  const file = join(folder.path, "two.yaml");
  const text = `${stage("é", "b")}---\n${stage("b", "./x")}`;
  await writeFile(file, text);
  const recipes = await readRecipe(file);
  expect(recipes).toMatchObject({ file, text });
  expect(recipes.stages.map(({ name }) => name?.value)).toEqual(["b", "é"]);
});

test("readRecipe() says which file it cannot read", async () => {
  await using folder = await withTempDir();
  const file = join(folder.path, "none.yaml");
  await expect(readRecipe(file)).rejects.toMatchObject({
    code: "usage",
    message: expect.stringContaining(`Cannot read recipe "${file}": `),
    details: { file },
  });
});

test("readRecipe() reads no more of a file than a recipe may have", async () => {
  await using folder = await withTempDir();
  const file = join(folder.path, "long.yaml");
  await writeFile(file, "#".repeat(1_000_000));
  await expect(readRecipe(file)).rejects.toThrow("The recipe has 262145 bytes, more than the limit of 262144");
});
