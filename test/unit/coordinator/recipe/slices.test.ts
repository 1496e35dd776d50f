import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseRecipe } from "../../../../coordinator/recipe/parse.js";
import type { RecipeModule } from "../../../../coordinator/recipe/recipe.js";

const fixtures = new URL("../../../../../test/fixtures/recipes/", import.meta.url);
const fixture = (name: string) => parseRecipe(readFileSync(new URL(name, fixtures), "utf8"), name);

function summary(module: RecipeModule | undefined): unknown {
  return module?.slices.map(({ sources, base, parameters }) => ({
    sources: sources.map(({ model, layers, parameters }) => [model.value.text, layers?.value, [...parameters.keys()]]),
    base: base?.value.text,
    parameters: [...parameters.keys()],
  }));
}

test("parseRecipe() reads slices, which make one module", () => {
  const { modules, base } = fixture("slices.yaml");
  expect(base).toBeUndefined();
  expect(modules).toMatchObject([{ name: undefined, form: "slices", parameters: new Map() }]);
  expect(summary(modules[0])).toEqual([
    { sources: [["org/lower@v1.0", [0, 24], []]], base: undefined, parameters: [] },
    {
      sources: [
        ["org/lower@v1.0", [24, 28], ["weight"]],
        ["./upper+./lora@home", [8, 12], ["weight"]],
      ],
      base: "org/lower@v1.0",
      parameters: ["normalize"],
    },
    { sources: [['"./a+b@c"+org/lora', [12, 32], []]], base: undefined, parameters: [] },
  ]);
});

test("parseRecipe() remembers where slices and their layers stand", () => {
  const [module] = fixture("slices.yaml").modules;
  expect(module?.slices.map(({ at }) => at.line)).toEqual([3, 6, 16]);
  expect(module?.slices[1]?.sources[1]?.layers?.at).toEqual({ line: 11, column: 22 });
  expect(module?.slices[1]?.base?.at).toEqual({ line: 13, column: 17 });
});

test("parseRecipe() reads a filter outside a list as a list of one", () => {
  expect(fixture("slices.yaml").parameters.get("weight")).toMatchObject({
    at: { line: 20, column: 23 },
    value: { kind: "filters", entries: [{ filter: "norm", setting: { kind: "scalar", value: 0.5 } }] },
  });
});

test("parseRecipe() reads modules with slices and parameters of their own", () => {
  const { modules } = fixture("modules.yaml");
  expect(modules).toMatchObject([{ name: { value: "text", at: { line: 12, column: 3 } }, form: "slices" }]);
  expect([...(modules[0]?.parameters.keys() ?? [])]).toEqual(["weight", "lambda"]);
  expect(summary(modules[0])).toMatchObject([
    {
      sources: [
        ["./a", [0, 3], ["weight"]],
        ["./b", [5, 8], ["density"]],
        ["./base", [0, 3], []],
      ],
    },
    {
      sources: [
        ["./a", [3, 4], []],
        ["./base", [3, 4], []],
      ],
    },
  ]);
});

test("parseRecipe() reads modules of whole models, in the order of the text", () => {
  const { modules } = parseRecipe(
    "merge_method: linear\nmodules:\n  vision: { models: [{ model: ./a }] }\n  text: { models: [{ model: ./a }, { model: ./b }] }\n",
    "recipe.yaml",
  );
  expect(modules.map(({ name, form }) => [name?.value, form])).toEqual([
    ["vision", "models"],
    ["text", "models"],
  ]);
  expect(summary(modules[1])).toMatchObject([
    {
      sources: [
        ["./a", undefined, []],
        ["./b", undefined, []],
      ],
    },
  ]);
});

test("parseRecipe() leaves a model that stands twice in a slice as two sources", () => {
  const slice = "{ sources: [{ model: ./a, layer_range: [0, 4] }, { model: ./a, layer_range: [4, 8] }] }";
  const { modules } = parseRecipe(`merge_method: linear\nslices: [${slice}]\n`, "recipe.yaml");
  expect(summary(modules[0])).toMatchObject([
    {
      sources: [
        ["./a", [0, 4], []],
        ["./a", [4, 8], []],
      ],
    },
  ]);
});
