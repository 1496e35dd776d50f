import { expect, test } from "vitest";
import { parseRecipes } from "../../../../coordinator/recipe/parse.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { badDocuments } from "./bad/documents.js";
import { badKeys } from "./bad/keys.js";
import { badModels } from "./bad/models.js";
import { badModules } from "./bad/modules.js";
import { badReferences } from "./bad/references.js";
import { badSettings } from "./bad/settings.js";
import { badSlices } from "./bad/slices.js";
import { badStages } from "./bad/stages.js";
import { badSyntax } from "./bad/syntax.js";
import { badTokenizers } from "./bad/tokenizers.js";
import { messageOf } from "./message-of.js";

const badRecipes = [
  ...badDocuments,
  ...badSyntax,
  ...badKeys,
  ...badModels,
  ...badSlices,
  ...badModules,
  ...badReferences,
  ...badSettings,
  ...badTokenizers,
  ...badStages,
];

test.each(badRecipes)("parseRecipes() refuses %s", (_, text, complaints) => {
  expect(messageOf(() => parseRecipes(text, "recipe.yaml"))).toBe(
    complaints.map((complaint) => `recipe.yaml:${complaint}`).join("\n"),
  );
});

test("parseRecipes() fails with a code that says the author can fix it, and counts the complaints", () => {
  try {
    parseRecipes("seed: -1\nsed: 2\n", "recipe.yaml");
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(AmalgamError);
    expect(error).toMatchObject({ code: "recipe_invalid", details: { file: "recipe.yaml", complaints: "4" } });
  }
});

test("parseRecipes() lists the first hundred complaints and counts the rest", () => {
  const text = `merge_method: linear\nmodels:\n${"  - x\n".repeat(150)}`;
  const lines = messageOf(() => parseRecipes(text, "recipe.yaml")).split("\n");
  expect(lines).toHaveLength(101);
  expect(lines.at(-1)).toBe("recipe.yaml  And 50 more complaints");
});
