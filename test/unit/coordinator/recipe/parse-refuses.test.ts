import { expect, test } from "vitest";
import { parseRecipe } from "../../../../coordinator/recipe/parse.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { badDocuments } from "./bad/documents.js";
import { badKeys } from "./bad/keys.js";
import { badModels } from "./bad/models.js";
import { notYet } from "./bad/not-yet.js";
import { badSettings } from "./bad/settings.js";
import { badSyntax } from "./bad/syntax.js";
import { messageOf } from "./message-of.js";

const badRecipes = [...badDocuments, ...badSyntax, ...badKeys, ...badModels, ...badSettings, ...notYet];

test.each(badRecipes)("parseRecipe() refuses %s", (_, text, complaints) => {
  expect(messageOf(() => parseRecipe(text, "recipe.yaml"))).toBe(
    complaints.map((complaint) => `recipe.yaml:${complaint}`).join("\n"),
  );
});

test("parseRecipe() fails with a code that says the author can fix it, and counts the complaints", () => {
  try {
    parseRecipe("seed: -1\nsed: 2\n", "recipe.yaml");
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(AmalgamError);
    expect(error).toMatchObject({ code: "recipe_invalid", details: { file: "recipe.yaml", complaints: "4" } });
  }
});

test("parseRecipe() lists the first hundred complaints and counts the rest", () => {
  const text = `merge_method: linear\nmodels:\n${"  - x\n".repeat(150)}`;
  const lines = messageOf(() => parseRecipe(text, "recipe.yaml")).split("\n");
  expect(lines).toHaveLength(101);
  expect(lines.at(-1)).toBe("recipe.yaml  And 50 more complaints");
});
