import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseRecipe, parseRecipes } from "../../../../coordinator/recipe/parse.js";
import type { TokenizerSetting } from "../../../../coordinator/recipe/recipe.js";

const fixtures = new URL("../../../../../test/fixtures/recipes/", import.meta.url);

function read(keys: string): TokenizerSetting | undefined {
  return parseRecipe(`merge_method: linear\nmodels: [{ model: ./a }]\n${keys}`, "recipe.yaml").tokenizer;
}

test.each([
  ["union", "union"],
  ["base", "base"],
  ["org/a@v2", { text: "org/a@v2", path: "org/a", revision: "v2" }],
  ["{ model: union }", { text: "union", path: "union" }],
])("parseRecipe() reads tokenizer_source %s as a tokenizer with only a source", (written, value) => {
  expect(read(`tokenizer_source: ${written}\n`)).toEqual({
    at: { line: 3, column: 19 },
    source: { value, at: { line: 3, column: 19 } },
    tokens: new Map(),
    padToMultipleOf: undefined,
  });
});

test("parseRecipe() reads a tokenizer without a source as the union", () => {
  expect(read("tokenizer:\n  pad_to_multiple_of: 8.0\n")).toEqual({
    at: { line: 4, column: 3 },
    source: { value: "union", at: { line: 4, column: 3 } },
    tokens: new Map(),
    padToMultipleOf: 8,
  });
});

test("parseRecipe() reads no tokenizer where there is none", () => {
  expect(read("tokenizer:\ntokenizer_source: ~\n")).toBeUndefined();
});

test("parseRecipe() reads where each token comes from", () => {
  const { stages } = parseRecipes(readFileSync(new URL("stages.yaml", fixtures), "utf8"), "stages.yaml");
  const chat = { text: "chat", path: "chat", stage: 1 };
  const math = { text: "math", path: "math", stage: 0 };
  const output = stages[2];
  expect(output?.tokenizer).toMatchObject({ source: { value: chat }, padToMultipleOf: 64 });
  expect(Object.fromEntries(output?.tokenizer?.tokens ?? [])).toEqual({
    "<|im_start|>": {
      at: { line: 11, column: 5 },
      source: { kind: "model", model: { value: chat, at: { line: 12, column: 15 } } },
      force: true,
    },
    "<pad>": { at: { line: 14, column: 5 }, source: { kind: "zero" }, force: false },
    " ": {
      at: { line: 15, column: 5 },
      source: { kind: "model_token", model: { value: math, at: { line: 15, column: 48 } }, token: 0 },
      force: false,
    },
    "<unk>": {
      at: { line: 16, column: 5 },
      source: {
        kind: "model_token",
        model: { value: { text: "org/base", path: "org/base" }, at: { line: 16, column: 52 } },
        token: " ",
      },
      force: false,
    },
    "<new>": { at: { line: 17, column: 5 }, source: undefined, force: false },
  });
  expect(output?.chatTemplate).toEqual({ value: "chatml", at: { line: 19, column: 16 } });
});
