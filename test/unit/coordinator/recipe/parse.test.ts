import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseRecipe, parseRecipes } from "../../../../coordinator/recipe/parse.js";
import type { Recipe, RecipeParameter, RecipeSource, Setting } from "../../../../coordinator/recipe/recipe.js";

const fixtures = new URL("../../../../../test/fixtures/recipes/", import.meta.url);

function fixture(name: string): Recipe {
  return parseRecipe(readFileSync(new URL(name, fixtures), "utf8"), name);
}

/** A setting as one would say it: a value, a list, or a list of filters with their values. */
function spoken(setting: Setting): unknown {
  if (setting.kind === "scalar") return setting.value;
  if (setting.kind === "gradient") return setting.values;
  return setting.entries.map(({ filter, setting: inner }) => ({ filter, value: spoken(inner) }));
}

function spokenAll(parameters: ReadonlyMap<string, RecipeParameter>): Record<string, unknown> {
  return Object.fromEntries([...parameters].map(([name, parameter]) => [name, spoken(parameter.value)]));
}

/** The models of a recipe that lists whole models. */
function sourcesOf(recipe: Recipe): readonly RecipeSource[] {
  const [module] = recipe.modules;
  expect(recipe.modules).toMatchObject([{ name: undefined, form: "models", slices: [{ base: undefined }] }]);
  return module?.slices[0]?.sources ?? [];
}

function summary(recipe: Recipe): unknown {
  return {
    method: recipe.method.value,
    base: recipe.base?.value.text,
    models: sourcesOf(recipe).map(({ model, parameters }) => [model.value.text, spokenAll(parameters)]),
    parameters: spokenAll(recipe.parameters),
    dtypes: [recipe.dtype?.value, recipe.outDtype?.value],
    seed: recipe.seed,
  };
}

test("parseRecipe() reads a weighted average", () => {
  expect(summary(fixture("linear.yaml"))).toEqual({
    method: "linear",
    base: undefined,
    models: [
      ["./base", { weight: 0.6 }],
      ["./code", { weight: 0.4 }],
    ],
    parameters: {},
    dtypes: ["F32", "BF16"],
    seed: 0,
  });
});

test("parseRecipe() reads gradients, filters and a base model whose parameters are left empty", () => {
  expect(summary(fixture("ties.yaml"))).toEqual({
    method: "ties",
    base: "TheBloke/Llama-2-13B-fp16",
    models: [
      ["psmathur/orca_mini_v3_13b", { density: [1, 0.7, 0.1], weight: 1 }],
      ["garage-bAInd/Platypus2-13B", { density: 0.5, weight: [0, 0.3, 0.7, 1] }],
      [
        "WizardLM/WizardMath-13B-V1.0",
        {
          density: 0.33,
          weight: [
            { filter: "mlp", value: 0.5 },
            { filter: undefined, value: 0 },
          ],
        },
      ],
      ["TheBloke/Llama-2-13B-fp16", {}],
    ],
    parameters: { normalize: true, int8_mask: true },
    dtypes: ["F16", undefined],
    seed: 0,
  });
});

test("parseRecipe() reads gradients inside filters", () => {
  expect(summary(fixture("slerp.yaml"))).toMatchObject({
    parameters: {
      t: [
        { filter: "self_attn", value: [0, 0.5, 0.3, 0.7, 1] },
        { filter: "mlp", value: [1, 0.5, 0.7, 0.3, 0] },
        { filter: undefined, value: 0.5 },
      ],
    },
  });
});

test("parseRecipe() reads numbers in quotes as numbers, and YAML 1.1 booleans as words", () => {
  expect(summary(fixture("dare-ties.yaml"))).toEqual({
    method: "dare_ties",
    base: "../models/base",
    models: [
      ["../models/a", { weight: 0.5, density: 0.5 }],
      ["/data/models+lora@home", { weight: -0.25, density: 1 }],
      ["org/c", {}],
    ],
    parameters: {
      weight: [0.2],
      density: [{ filter: "*", value: 0.9 }],
      lambda: true,
      normalize: "off",
      rescale: false,
    },
    dtypes: ["F32", "BF16"],
    seed: Number.MAX_SAFE_INTEGER,
  });
});

test("parseRecipe() follows aliases and merge keys", () => {
  const mild = [
    { filter: "mlp", value: [0.5, 0.1] },
    { filter: undefined, value: 0.3 },
  ];
  expect(summary(fixture("anchors.yaml"))).toMatchObject({
    models: [
      ["./a", { weight: mild }],
      ["./b", { weight: mild }],
      ["./c", { weight: [0.5, 0.1] }],
      ["./d", { weight: mild }],
      ["./e", { weight: 1 }],
    ],
  });
});

test("parseRecipe() reads JSON, which is YAML", () => {
  expect(summary(fixture("json.yaml"))).toMatchObject({
    method: "passthrough",
    models: [["./a", { scale: [{ filter: "o_proj", value: 0 }] }]],
    dtypes: ["F64", undefined],
  });
});

test("parseRecipe() remembers where everything stands", () => {
  const recipe = fixture("slerp.yaml");
  expect(recipe.method.at).toEqual({ line: 2, column: 15 });
  expect(recipe.base?.at).toEqual({ line: 3, column: 13 });
  expect(sourcesOf(recipe)[1]?.model.at).toEqual({ line: 6, column: 12 });
  expect(recipe.dtype?.at).toEqual({ line: 14, column: 8 });
  const t = recipe.parameters.get("t");
  expect(t?.nameAt).toEqual({ line: 8, column: 3 });
  expect(t?.at).toEqual({ line: 9, column: 5 });
  expect(t?.value).toMatchObject({ entries: [{ at: { line: 10, column: 14 } }, {}, { at: { line: 13, column: 14 } }] });
});

test("parseRecipe() keeps the text and the name of the file as they are", () => {
  const text = readFileSync(new URL("linear.yaml", fixtures), "utf8");
  expect(parseRecipe(text, "./my recipes/linear.yaml")).toMatchObject({ text, file: "./my recipes/linear.yaml" });
});

test.each([
  ["a byte order mark", (text: string) => `\uFEFF${text}`],
  ["Windows line ends", (text: string) => text.replaceAll("\n", "\r\n")],
  ["both", (text: string) => `\uFEFF${text.replaceAll("\n", "\r\n")}`],
])("parseRecipe() reads %s, and counts lines and columns as without", (_, disguise) => {
  for (const name of readdirSync(fixtures)) {
    const plain = readFileSync(new URL(name, fixtures), "utf8");
    const text = disguise(plain);
    const stages = parseRecipes(plain, name).stages.map((recipe) => ({ ...recipe, text }));
    expect(parseRecipes(text, name)).toEqual({ file: name, text, stages });
  }
});

test.each([
  ["the end of the document", "...\n# over\n"],
  ["a document without content", "---\n# over\n"],
  ["a document with nothing", "---\nnull\n"],
])("parseRecipe() takes %s after a recipe", (_, end) => {
  const text = `---\n${readFileSync(new URL("linear.yaml", fixtures), "utf8")}${end}`;
  expect(parseRecipe(text, "linear.yaml").method.value).toBe("linear");
});

test("parseRecipe() does not take a second recipe", () => {
  const text = readFileSync(new URL("linear.yaml", fixtures), "utf8");
  const second = text.split("\n").length + 1;
  expect(() => parseRecipe(`${text}---\n${text}`, "two.yaml")).toThrow(
    `two.yaml:${second}:1  There are several recipes in the file, expected one`,
  );
});

test.each([
  ["0", 0],
  ["42", 42],
  ['"42"', 42],
  ["1e3", 1000],
  ["07", 7],
  ["", 0],
  ["null", 0],
])("parseRecipe() reads the seed %s as %j", (written, seed) => {
  expect(parseRecipe(`merge_method: x\nmodels: [{model: ./a}]\nseed: ${written}\n`, "seed.yaml").seed).toBe(seed);
});
